"""Known answers of what one's own past says."""

import numpy as np
import pytest

from motion.moving_people import swinging
from posecast.motion.own_past import TRIED_AHEAD, own_past
from posecast.motion.recall import Moments
from posecast.motion.seen import see


@pytest.mark.parametrize("period", [20, 33, 50])
def test_a_periodic_motion_goes_on_as_before(period):
    joints = swinging(150 + 64, period)
    past = joints[:150]

    found = own_past(past, np.ones(past.shape[:2], bool))

    truth = joints[150:] - past[-1]
    assert np.abs(found.best_px - truth).max() < 1e-2
    assert np.abs(truth).max() > 10
    assert found.misfit < 0.05


def test_a_motion_seen_once_fits_badly():
    rng = np.random.default_rng(1)
    past = np.cumsum(rng.normal(size=(120, 13, 2)), axis=0).astype(np.float32) + 100
    again = swinging(120, 30)
    visible = np.ones(past.shape[:2], bool)

    assert own_past(past, visible).misfit > 5 * own_past(again, visible).misfit


def test_too_short_a_past_says_nothing():
    past = swinging(8, 20)

    found = own_past(past, np.ones((8, 13), bool))

    assert len(found.moved_px) == 0
    assert not found.mean_px.any()
    assert found.facts[0] == 0


def test_hidden_coordinates_are_not_looked_at():
    past, visible = swinging(100, 25), np.ones((100, 13), bool)
    visible[40:50, 3] = visible[-4:, 7] = False
    nonsense = past.copy()
    nonsense[~visible] = 1e5

    mine, other = own_past(past, visible), own_past(nonsense, visible)

    np.testing.assert_array_equal(mine.moved_px, other.moved_px)


def test_place_and_size_change_nothing_but_units():
    past, visible = swinging(100, 25), np.ones((100, 13), bool)

    mine, other = own_past(past, visible), own_past(past * 4 + 1000, visible)

    np.testing.assert_allclose(other.moved_px, 4 * mine.moved_px, atol=0.1)
    np.testing.assert_allclose(other.facts, mine.facts, atol=1e-2)


def test_what_is_seen_is_in_sizes_of_the_body():
    past, visible = swinging(30, 25), np.ones((30, 13), bool)

    mine, other = (see(each[None], visible[None]) for each in (past, past * 8 - 500))

    np.testing.assert_allclose(mine.pose, other.pose, atol=1e-4)
    np.testing.assert_allclose(mine.was, other.was, atol=1e-4)
    np.testing.assert_allclose(other.size_px, 8 * mine.size_px, rtol=1e-4)
    assert mine.exists[0].sum() == sum(
        back < 30 for back in (*range(1, 10), 11, 13, 16, 19, 23, 28)
    )


def test_it_is_tried_on_what_was_seen():
    rng = np.random.default_rng(2)
    wandering = np.cumsum(rng.normal(size=(300, 13, 2)), axis=0).astype(np.float32) + 100
    visible = np.ones((300, 13), bool)

    again, never = (own_past(past, visible).facts[9:] for past in (swinging(300, 50), wandering))

    errors, shares = slice(0, len(TRIED_AHEAD)), slice(len(TRIED_AHEAD), None)
    assert (again[errors][2:6] < -1).all()  # from 4 to 32 frames less than a third of the error
    assert again[shares] == pytest.approx(np.ones(len(TRIED_AHEAD)), abs=0.15)
    assert (never[errors] > -0.3).all()
    assert (never[shares][1:6] < 0.7).all()


def test_ways_lie_apart():
    past = swinging(150, 33) + np.random.default_rng(0).normal(size=(150, 13, 2))

    found = own_past(past.astype(np.float32), np.ones(past.shape[:2], bool))

    assert 2 <= len(found.ways_px()) < len(found.moved_px)
    np.testing.assert_array_equal(found.ways_px()[0], found.best_px)


def test_a_turned_moment_leads_back_the_way_that_was_come():
    """Up and, ten frames ago, down again, seen once: before the middle of it nobody knows more."""
    rng = np.random.default_rng(0)
    centre, reach = rng.uniform(0, 100, (13, 2)), rng.uniform(-20, 20, (13, 2))
    joints = centre + reach * np.cos(2 * np.pi * np.arange(120)[:, None, None] / 80)
    past, visible = joints[:51].astype(np.float32), np.ones((51, 13), bool)

    def weigh(found: Moments) -> np.ndarray:
        shares = np.zeros((len(found.frames), 64, 1), np.float32)
        shares[np.flatnonzero(found.turned)[0]] = 1
        return shares

    moved = own_past(past, visible, weigh=weigh).likely_px

    assert np.abs(moved[:30] - (joints[51:81] - past[-1])).max() < 0.5
    assert np.abs(own_past(past, visible).likely_px[:30] - moved[:30]).max() > 10
    assert np.abs(moved[30:] - (past[0] - past[-1])).max() < 0.5  # it was seen from there on
