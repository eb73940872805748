"""Whose pixels a place of a future frame shows."""

import numpy as np

from posecast.carrying.fetching import owners_of


def test_the_two_best_claims_win_and_their_parts_are_named():
    claims = np.random.default_rng(0).uniform(0, 2, (10, 40, 30)).astype(np.float32)
    owners, best = owners_of(claims)
    order = np.argsort(-claims, axis=0, kind="stable")[:2]
    assert np.array_equal(owners, order)
    assert np.allclose(best, np.take_along_axis(claims, order, axis=0), rtol=2e-6)


def test_who_alone_claims_a_place_owns_it_twice_and_nobody_is_the_first_part():
    claims = np.zeros((10, 3), np.float32)
    claims[7, 1] = 0.25
    claims[[4, 9], 2] = 0.5  # of equals the earlier one is first
    owners, best = owners_of(claims)
    assert owners.tolist() == [[0, 7, 4], [0, 7, 9]]
    assert best.tolist() == [[0, 0.25, 0.5], [0, 0, 0.5]]
