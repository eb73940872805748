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


NO_FEET = np.zeros((SIZE, SIZE), bool)


def exported(frames, covered, feet=NO_FEET):
    """The same by the graph of exports."""
    return plate_of(*map(torch.from_numpy, (frames, covered, feet.astype(np.float32))))


def walk(places):
    """A black block in a room at each of these places, how much it covers, and a still camera."""
    frames, covered = np.stack([ROOM] * len(places)), np.zeros((len(places), SIZE, SIZE), "f4")
    for frame, mask, left in zip(frames, covered, places, strict=True):
        frame[40:80, left : left + 20] = 0
        mask[40:80, left : left + 20] = 1
    return frames, covered, np.stack([STILL] * len(places))


def test_where_another_frame_shows_the_room_it_is_that():
    room = background_plate(*walk([20, 50, 80]), NO_FEET)
    assert np.array_equal(room.plate, ROOM)
    assert not room.holes.any()


def test_what_a_mask_missed_of_the_person_does_not_stay_in_the_room():
    frames, covered, path = walk([5, 35, 65, 95])
    edges = covered.copy()
    covered[:, :, 1:] = np.minimum(covered[:, :, 1:], covered[:, :, :-1])  # the left edge is missed
    room = background_plate(frames, covered, path, NO_FEET)
    assert np.array_equal(room.plate, ROOM)
    assert np.array_equal(room.missed, edges[-1] > covered[-1])
    plate, _, missed, _ = exported(frames, covered)
    assert np.array_equal(plate, room.plate)
    assert np.array_equal(missed, room.missed)
    # What differs less is light and noise, and the last frame's.
    frames[-1, 38:40] -= 5
    plate = background_plate(frames, covered, path, NO_FEET).plate
    assert np.array_equal(plate[38:40], frames[-1, 38:40])


def test_a_shoe_that_a_mask_missed_does_not_stay_in_the_room():
    frames, covered, path = walk([5, 35, 65, 95])
    frames[-1, 74:80, 115:121] = 250  # wider than the strip in which masks miss edges
    feet = NO_FEET.copy()
    feet[70:90] = True
    assert (background_plate(frames, covered, path, NO_FEET).plate == 250).any()
    room = background_plate(frames, covered, path, feet)
    assert np.array_equal(room.plate, ROOM)
    assert np.array_equal(exported(frames, covered, feet)[0], room.plate)


def test_what_masks_missed_in_few_frames_does_not_stay_behind_the_person():
    frames, covered, path = walk([50] * 24)
    frames[3, 74:80, 60:66], covered[3, 72:80, 58:70] = 250, 0  # seen by this frame alone

    room = background_plate(frames, covered, path, NO_FEET)

    assert room.plate.max() < 200
    assert np.array_equal(room.holes, covered[0] > 0)
    plate, holes, _, _ = exported(frames, covered)
    assert np.array_equal(holes, room.holes)
    assert np.abs(plate.numpy().astype(int) - room.plate).max() <= 1


def test_what_other_frames_do_not_agree_on_stays_as_in_the_last_one():
    frames, covered, path = walk([5, 35, 65, 95])
    covered[:, :, 1:] = np.minimum(covered[:, :, 1:], covered[:, :, :-1])
    frames[:3, 40:80, 95] = np.array([0, 120, 250])[:, None, None]  # a lamp that blinks
    assert nothing_was_missed(frames, covered, path)


def test_two_other_frames_are_too_few_to_say_what_a_mask_missed():
    frames, covered, path = walk([35, 65, 95])
    covered[:, :, 1:] = np.minimum(covered[:, :, 1:], covered[:, :, :-1])
    assert nothing_was_missed(frames, covered, path)


def nothing_was_missed(frames, covered, path) -> bool:
    """By the mask, as the plate says and as the exported one does."""
    found = background_plate(frames, covered, path, NO_FEET).missed
    return not found.any() and not exported(frames, covered)[2].any()


def test_leaves_that_move_are_the_same_room():
    frames, covered, path = walk([20, 50, 80])
    leaves = np.random.default_rng(1).normal(0, 20, (3, SIZE, SIZE, 1))
    frames = np.where(covered[..., None] > 0, frames, (ROOM + leaves).clip(0, 255)).astype(np.uint8)
    room = background_plate(frames, covered, path, NO_FEET)
    assert not room.holes.any()
    behind, median = covered[-1] > 0, np.minimum(frames[0], frames[1])
    apart = np.abs(room.plate[behind].astype(int) - median[behind]).mean()
    assert apart < 2.5  # light is told of noise here; without it this would be 0
    assert np.abs(exported(frames, covered)[0].numpy().astype(int) - room.plate).max() <= 1


def test_what_comes_to_light_is_in_the_light_of_the_last_frame():
    frames, covered, path = walk([20, 50, 80])
    shadow = np.linspace(0.8, 1.1, SIZE)[:, None]  # of the person, and the camera's exposure
    frames[-1] = (frames[-1] * shadow).round()
    room = background_plate(frames, covered, path, NO_FEET)
    behind = covered[-1] > 0
    assert np.abs((ROOM * shadow - room.plate)[behind]).max() < 3
    assert np.abs(exported(frames, covered)[0].numpy().astype(int) - room.plate).max() <= 1


def test_a_colour_that_a_wall_has_nothing_of_tells_little_of_light():
    frames, covered, path = walk([20, 50, 80])
    behind = covered[-1] > 0
    wall, grey = (covered == 0).all(axis=0), 60
    frames[:, wall], frames[:, behind] = (200, 0, 0), grey
    frames[-1, wall] = (200, 15, 15)
    plate = background_plate(frames, covered, path, NO_FEET).plate
    assert plate[behind].max() == 2 * grey
    assert np.abs(exported(frames, covered)[0].numpy().astype(int) - plate).max() <= 1


def test_what_stands_where_nothing_stood_is_no_other_light():
    frames, covered, path = walk([20, 50, 80])
    frames[-1, 30:90, 102:112] = 0
    room = background_plate(frames, covered, path, NO_FEET)
    behind = covered[-1] > 0
    assert np.abs(room.plate[behind] - ROOM[behind].astype(int)).max() < 8


def test_a_title_that_dissolves_is_not_the_room():
    frames, covered, path = walk([20, 50, 80])
    frames[0], covered[0] = 255, 0
    frames[1] = frames[1] // 2 + 128
    room = background_plate(frames, covered, path, NO_FEET)
    plate, holes, _, change = (each.numpy() for each in exported(frames, covered))
    np.testing.assert_allclose(change, room.change, atol=0.05)  # bytes are rounded
    assert room.change[0] > room.change[1] > 50
    assert room.change[2] == 0
    assert np.abs(plate.astype(int) - room.plate).max() <= 1
    assert np.array_equal(holes, room.holes)
    assert np.array_equal(holes, covered[-1] > 0)
    assert np.abs(room.plate.astype(int) - ROOM)[holes].mean() < 25  # a guess
    assert np.array_equal(room.plate[~holes], ROOM[~holes])
