"""A forearm that moves away does not stay behind as a picture on the body."""

import numpy as np
import torch

from carrying.scene import SHIRT, picture, pose, wall
from posecast.carrying.body_parts import PARTS, TORSO, body_size, part_distances, pose_of
from posecast.carrying.layers import CarriedPerson
from posecast.carrying.uncovering import (
    BEHIND,
    FOREARMS,
    crossed,
    has_left,
    uncovers,
    without_forearms,
)
from posecast.export import uncovering_graph
from posecast.export.body_graph import Bodies
from posecast.skeletons import PENN_ACTION

FOLDED = {"left_elbow": (44.0, 60.0), "left_wrist": (66.0, 56.0)}
"""The left forearm lies across the chest."""
SEEN = 6


def red(frame):
    """The share of the chest that shows the left arm."""
    chest = frame[48:64, 56:72].astype(int)
    return (chest[..., 0] - chest[..., 2] > 80).mean()


def drawn(*before, **future):
    seen = [*before, *[pose(**FOLDED)] * SEEN]
    joints = np.stack([*seen, pose(**future)])
    frames = np.stack([picture(each, wall()) for each in seen])
    person = CarriedPerson(frames, joints, np.ones(joints.shape[:2], bool), PENN_ACTION)
    layers = person.layers(0)
    return frames[-1], person.frame(layers), layers.plan


def test_the_chest_shows_no_arm_where_the_arm_has_left():
    before, after, plan = drawn(left_elbow=(34.0, 44.0), left_wrist=(20.0, 34.0))
    assert red(before) > 0.2
    assert plan.left[TORSO]
    assert red(after) < 0.05
    chest = after[48:64, 56:72].reshape(-1, 3).astype(int)
    assert np.abs(np.median(chest, axis=0) - SHIRT).max() < 30


def test_a_chest_that_an_earlier_frame_shows_is_taken_from_there():
    lowered = {"left_elbow": (44.0, 58.0), "left_wrist": (40.0, 74.0)}
    _, after, plan = drawn(*[pose()] * SEEN, **lowered)
    assert plan.sources[TORSO] < SEEN
    assert not plan.left.any()
    assert red(after) == 0
    _, _, folded = drawn(*[pose()] * SEEN, **FOLDED)
    assert folded.sources[TORSO] == 2 * SEEN - 1


def test_an_arm_that_stays_over_the_chest_goes_with_it():
    before, after, plan = drawn(**FOLDED)
    assert not plan.left.any()
    assert np.array_equal(before, after)


def parts_of(joints):
    visible = np.ones(joints.shape[:2], bool)
    size = body_size(joints, visible, PENN_ACTION)
    poses = pose_of(joints, visible, PENN_ACTION, size)
    return poses, np.stack([part_distances(poses[t], 128, size) for t in range(len(joints))])


def test_only_what_lies_behind_arms_is_crossed():
    _, distances = parts_of(np.stack([pose(), pose(**FOLDED)]))
    over = crossed(distances)
    assert not over[0, TORSO, : len(FOREARMS)].any()
    assert over[1, TORSO, : len(FOREARMS)].tolist() == [True, False]
    others = [n for n in range(len(PARTS)) if n not in BEHIND]
    assert not over[:, others].any()


def test_an_upper_arm_that_was_raised_uncovers_the_chest_too():
    poses, distances = parts_of(np.stack([pose(), pose(left_elbow=(40.0, 28.0))]))
    over = crossed(distances[:1])
    assert not over[0, TORSO, : len(FOREARMS)].any()
    assert uncovers(poses[1:], poses[:1], TORSO, over).all()
    assert not uncovers(poses[:1], poses[:1], TORSO, over).any()


def test_where_no_body_is_seen_a_frame_stays():
    frame = picture(pose(**FOLDED), wall())
    _, distances = parts_of(pose(**FOLDED)[None])
    nothing = np.zeros((128, 128), np.float32)
    assert np.array_equal(without_forearms(frame, nothing, distances[0]), frame)


def test_the_exported_one_is_the_same():
    poses, distances = parts_of(np.stack([pose(**FOLDED), pose()]))
    seen, wanted = poses[:1], poses[1]
    sources = np.zeros(len(PARTS), int)
    sources[1] = -1
    transforms = np.stack([np.eye(2, 3, dtype=np.float32)] * len(PARTS))
    over = crossed(distances[:1])
    tensors = torch.from_numpy(distances[:1]).float()
    assert np.array_equal(uncovering_graph.crossed(tensors).numpy(), over)

    bodies = [
        Bodies(*(torch.from_numpy(np.asarray(each)) for each in (one.ends, one.corners, one.known)))
        for one in (poses[1:], seen)
    ]
    said = uncovering_graph.has_left(
        *bodies,
        torch.from_numpy(sources[None]),
        torch.from_numpy(transforms[None]),
        torch.from_numpy(over),
    )
    left = has_left(wanted, seen, sources, transforms, over)
    assert np.flatnonzero(left).tolist() == [TORSO]
    assert np.array_equal(said[0].numpy(), left)

    every = uncovering_graph.uncovers(*bodies, torch.from_numpy(over))
    assert every[0, 0].nonzero().flatten().tolist() == [TORSO]
    for n in range(len(PARTS)):
        assert np.array_equal(every[..., n].numpy(), uncovers(poses[1:], seen, n, over))

    frame = picture(pose(**FOLDED), wall())
    mask = (distances[0].min(axis=0) < 1).astype(np.float32)
    bare = uncovering_graph.without_forearms(
        torch.from_numpy(frame[None]), torch.from_numpy(mask[None]), tensors
    )
    off = np.abs(bare[0].numpy().astype(int) - without_forearms(frame, mask, distances[0]))
    assert (off <= 1).mean() > 0.999
