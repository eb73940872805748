"""What nobody saw of a room is made of what was seen of it."""

import numpy as np
import pytest
import torch

from posecast.carrying.completion import completed, filled
from posecast.export.completion_graph import completed as as_graph

PLACES = np.arange(128)
HOLE = np.zeros((128, 128), bool)
HOLE[40:90, 50:74] = True


def curtain(light=0.0):
    """Folds that darken by `light` grey levels a pixel downwards."""
    folds = 120 + 50 * np.sin(2 * np.pi * PLACES / 16)[None] - light * PLACES[:, None]
    return np.repeat(folds[..., None], 3, axis=2).round().astype(np.uint8)


def far_off(picture, truth, holes=HOLE):
    return np.abs(picture.astype(int) - truth)[holes].mean()


def with_hole(truth, holes=HOLE):
    return np.where(holes[..., None], 255, truth).astype(np.uint8)


@pytest.mark.parametrize("light", [0.0, 0.4])
def test_a_curtain_keeps_its_folds(light):
    truth = curtain(light)
    picture = completed(with_hole(truth), HOLE)
    assert far_off(picture, truth) < 5
    assert far_off(filled(with_hole(truth), HOLE), truth) > 25
    assert np.array_equal(picture[~HOLE], truth[~HOLE])


@pytest.mark.parametrize("side", [96, 130, 300])
def test_any_size_will_do(side):
    at = np.arange(side) * 128 / side
    folds = np.repeat((120 + 50 * np.sin(2 * np.pi * at / 16))[None, :, None], 3, axis=2)
    truth = np.repeat(folds, side, axis=0).round().astype(np.uint8)
    holes = np.zeros((side, side), bool)
    holes[side // 3 : 2 * side // 3, side // 2 : 2 * side // 3] = True
    assert far_off(completed(with_hole(truth, holes), holes), truth, holes) < 8


def test_what_lies_in_shadow_stays_dark():
    """The only patches that are seen whole are bright: their light is brought to that around."""
    truth = curtain()
    truth[100:] = 30
    holes = np.zeros_like(HOLE)
    holes[104:124, 20:100] = True
    assert far_off(completed(with_hole(truth, holes), holes), truth, holes) < 5


def test_without_a_hole_nothing_is_done():
    assert np.array_equal(completed(curtain(), np.zeros_like(HOLE)), curtain())


def test_a_scratch_beside_a_hole_is_not_taken_for_it():
    truth, holes = curtain(), HOLE.copy()
    holes[10, 10] = True
    picture = completed(with_hole(truth, holes), holes)
    assert abs(int(picture[10, 10, 0]) - int(truth[10, 10, 0])) < 10


@pytest.mark.parametrize("seen", [0, 5, 20])
def test_where_hardly_anything_was_seen_the_average_stays(seen):
    holes = np.ones_like(HOLE)
    holes[:seen, :seen] = False
    picture = with_hole(curtain(), holes)
    assert np.array_equal(completed(picture, holes), filled(picture, holes))


@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_exported_one_is_the_same(size, seed):
    rng = np.random.default_rng(seed)
    times = size // 128
    truth = curtain(0.3) + rng.integers(0, 12, (128, 128, 3), np.uint8)
    picture, holes = (each.repeat(times, 0).repeat(times, 1) for each in (with_hole(truth), HOLE))
    exported = as_graph(torch.from_numpy(picture).float(), torch.from_numpy(holes)).numpy()
    off = np.abs(exported - completed(picture, holes))
    assert off[~holes].max() == 0
    assert (off <= 1).mean() > 0.999


def test_the_exported_one_also_keeps_the_average():
    holes = np.ones_like(HOLE)
    holes[:20, :20] = False
    picture = with_hole(curtain(), holes)
    exported = as_graph(torch.from_numpy(picture).float(), torch.from_numpy(holes)).numpy()
    assert np.abs(exported - filled(picture, holes)).max() <= 1
