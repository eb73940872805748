"""The room behind the person, where it is known to the pixel."""

import cv2
import numpy as np
import torch

from posecast.carrying.camera import STILL
from posecast.carrying.plate import background_plate
from posecast.export.plate_graph import plate_of

SIZE = 128
ROOM = cv2.resize(
    np.random.default_rng(0).uniform(80, 160, (16, 16, 3)).astype(np.float32), (SIZE, SIZE)
).astype(np.uint8)


def walk(places):
    """A black block in a room at each of these places, how much it covers, and a still camera."""
    frames, covered = np.stack([ROOM] * len(places)), np.zeros((len(places), SIZE, SIZE), "f4")
    for frame, mask, left in zip(frames, covered, places, strict=True):
        frame[40:80, left : left + 20] = 0
        mask[40:80, left : left + 20] = 1
    return frames, covered, np.stack([STILL] * len(places))


def test_where_another_frame_shows_the_room_it_is_that():
    plate, holes, _ = background_plate(*walk([20, 50, 80]))
    assert np.array_equal(plate, ROOM)
    assert not holes.any()


def test_what_a_mask_missed_of_the_person_does_not_stay_in_the_room():
    frames, covered, path = walk([20, 50, 80])
    covered[:, :, 1:] = np.minimum(covered[:, :, 1:], covered[:, :, :-1])  # the left edge is missed
    plate, *_ = background_plate(frames, covered, path)
    assert np.array_equal(plate, ROOM)
    assert np.array_equal(plate_of(torch.from_numpy(frames), torch.from_numpy(covered))[0], plate)
    # What differs less is light and noise, and the last frame's.
    frames[-1, 38:40] -= 5
    assert np.array_equal(background_plate(frames, covered, path)[0][38:40], frames[-1, 38:40])


def test_leaves_that_move_are_the_same_room():
    frames, covered, path = walk([20, 50, 80])
    leaves = np.random.default_rng(1).normal(0, 20, (3, SIZE, SIZE, 1))
    frames = np.where(covered[..., None] > 0, frames, (ROOM + leaves).clip(0, 255)).astype(np.uint8)
    plate, holes, _ = background_plate(frames, covered, path)
    assert not holes.any()
    behind = covered[-1] > 0
    assert np.array_equal(plate[behind], np.minimum(frames[0], frames[1])[behind])
    assert np.array_equal(plate_of(torch.from_numpy(frames), torch.from_numpy(covered))[0], plate)


def test_a_title_that_dissolves_is_not_the_room():
    frames, covered, path = walk([20, 50, 80])
    frames[0], covered[0] = 255, 0
    frames[1] = frames[1] // 2 + 128
    plate, holes, light = background_plate(frames, covered, path)
    exported = plate_of(torch.from_numpy(frames), torch.from_numpy(covered))
    np.testing.assert_allclose(exported[2].numpy(), light, atol=0.05)  # bytes are rounded
    assert light[0] > light[1] > 50
    assert light[2] == 0
    assert np.abs(exported[0].numpy().astype(int) - plate).max() <= 1
    assert np.array_equal(exported[1].numpy(), holes)
    assert np.array_equal(holes, covered[-1] > 0)
    assert np.abs(plate.astype(int) - ROOM)[holes].mean() < 25  # a guess
    assert np.array_equal(plate[~holes], ROOM[~holes])
