"""Future frames out of seen pixels: known answers on a drawn person."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from carrying.scene import SHIRT, SKIN, picture, pose, wall
from posecast.carrying import layers
from posecast.carrying.body_parts import (
    LEAST_TORSO,
    PARTS,
    TORSO,
    part_distances,
    part_transform,
    pose_of,
)
from posecast.carrying.composing import FrameChanges
from posecast.carrying.layers import CarriedPerson
from posecast.carrying.smoothing import without_gaps
from posecast.carrying.sources import (
    WIDE,
    WIDEST,
    at_feet,
    members_of,
    person_mask,
    still_hidden,
    taken_in,
    widened,
)
from posecast.export import body_graph, sources_graph
from posecast.skeletons import COCO, PENN_ACTION

RAISED = {"left_elbow": (38.0, 44.0), "left_wrist": (24.0, 34.0)}
SEEN = 6
ALL = np.ones((SEEN + 1, 13), bool)


def carried(frames, past, future, visible=None, **options):
    """Frames of the future poses; all joints visible unless told otherwise."""
    joints = np.concatenate([past, future])
    visible = np.ones(joints.shape[:2], bool) if visible is None else visible
    person = CarriedPerson(np.stack(frames), joints, visible, PENN_ACTION, **options)
    return [person.frame(person.layers(t)) for t in range(len(future))]


def still(size=128, **moved):
    """Frames and poses of a person who stands still."""
    frame = picture(pose(**moved), wall(size))
    return [frame] * SEEN, np.stack([pose(**moved) * (size / 128)] * SEEN)


def outline(frames):
    """Which pixels of the frames are not the wall."""
    return np.stack([(frame != wall()).any(-1) for frame in frames]).astype(np.float32)


def test_who_stands_still_stays_bit_for_bit():
    frames, past = still()
    for frame in carried(frames, past, past[:3]):
        assert np.array_equal(frame, frames[-1])


def test_outside_of_the_person_the_last_frame_stays_bit_for_bit():
    frames, past = still()
    frame = carried(frames, past, pose(**RAISED)[None])[0]
    far = np.ones((128, 128), bool)
    far[10:125, 8:105] = False
    assert np.array_equal(frame[far], frames[-1][far])
    assert not np.array_equal(frame, frames[-1])


def test_a_raised_arm_is_where_it_should_be_and_no_longer_where_it_was():
    frames, past = still()
    future = pose(**RAISED)[None]
    frame = carried(frames, past, future, masks=outline(frames))[0].astype(int)
    wanted = picture(pose(**RAISED), wall()).astype(int)
    arm = np.abs(wanted - wall()).sum(-1) * (np.arange(128) < 44)[None] > 60
    arm[50:] = False
    assert arm.sum() > 80
    error = np.abs(frame - wanted).mean(-1)
    assert error[arm].mean() < 0.4 * np.abs(frames[-1].astype(int) - wanted).mean(-1)[arm].mean()
    gone = frame[66:72, 40:44]
    red = (gone[..., 0] - gone[..., 2]) > 120  # the left arm is red
    assert red.mean() < 0.2


def test_the_person_goes_where_the_whole_pose_goes():
    frames, past = still()
    moved = past[:1] + np.float32([12, 0])
    frame = carried(frames, past, moved, masks=outline(frames))[0]
    red = ((frame[..., 0] > 190) & (frame[..., 1] < 110)).nonzero()
    before = ((frames[-1][..., 0] > 190) & (frames[-1][..., 1] < 110)).nonzero()
    assert red[1].mean() - before[1].mean() == pytest.approx(12, abs=1)
    assert red[0].mean() - before[0].mean() == pytest.approx(0, abs=1)


def test_twice_the_resolution_gives_the_same_picture():
    results = []
    for size in (128, 256):
        frames, past = still(size)
        results.append(carried(frames, past, pose(**RAISED)[None] * (size / 128))[0])
    small = cv2.resize(results[1], (128, 128), interpolation=cv2.INTER_AREA).astype(int)
    difference = np.abs(small - results[0]).mean(-1)
    assert difference.mean() < 2
    assert (difference > 60).mean() < 0.01


def test_who_is_wider_than_the_limbs_goes_along_as_wide_as_the_mask_says():
    arms = {"right_elbow": (82.0, 30.0), "right_wrist": (86.0, 18.0)}
    frames, past = still(**arms)
    frame = cv2.circle(frames[0].copy(), (74, 56), 12, SHIRT, -1)
    drawn = carried([frame] * SEEN, past, past[:1] - (24, 0), masks=outline([frame] * SEEN))[0]
    green = drawn[..., 1] > drawn[..., 0] + 90.0
    assert green[50:62, 52:61].mean() > 0.9
    assert green[50:62, 76:85].mean() < 0.1


def test_graphs_widen_parts_alike():
    rng = np.random.default_rng(0)
    distances = rng.uniform(0, 4, (3, len(PARTS), 8, 8)).astype(np.float32)
    masks = rng.random((3, 8, 8), np.float32)
    wide = np.stack([*map(widened, distances, masks)])
    same = sources_graph.widened(torch.from_numpy(distances), torch.from_numpy(masks))
    assert np.array_equal(same.numpy(), wide)
    changed = wide != distances
    assert (wide[changed] == np.float32(WIDE)).all()
    assert (distances[changed] < WIDEST).all()
    assert (changed.sum(axis=1) <= (masks > 0.5)).all()
    assert changed.any()


def test_joints_that_were_never_seen_draw_nothing():
    frames, past = still()
    future = pose(**RAISED)[None]
    visible = np.ones((SEEN + 1, 13), bool)
    arm = [PENN_ACTION.index(name) for name in ("left_elbow", "left_wrist")]
    visible[:SEEN, arm] = False
    frame = carried(frames, past, future, visible)[0]
    assert np.array_equal(frame[24:46, 16:36], wall()[24:46, 16:36])


def test_a_hidden_arm_shows_where_the_most_alike_seen_pose_shows_it_and_not_at_once():
    waving, hidden = pose(right_elbow=(92, 36), right_wrist=(104, 26)), (54, 40)
    without = picture(pose(left_elbow=hidden, left_wrist=hidden), wall())
    frames = [picture(waving, wall())] * 3 + [without] * 3
    past, future = np.stack([waving] * 3 + [pose()] * 3), np.stack([pose()] * 4 + [waving] * 4)
    visible = np.ones((len(past) + len(future), 13), bool)
    visible[3:SEEN, [PENN_ACTION.index(f"left_{joint}") for joint in ("elbow", "wrist")]] = False
    first, *_, last = carried(frames, past, future, visible, masks=outline(frames))
    assert np.array_equal(first, frames[-1])
    forearm = last[60:68, 42:46].astype(int)
    assert (forearm[..., 0] - forearm[..., 2] > 100).mean() > 0.5  # the left arm is red


@pytest.mark.parametrize("nowhere", [0, np.nan])
def test_where_hidden_joints_are_does_not_say_what_shows(nowhere):
    rng = np.random.default_rng(1)
    joints = pose() + rng.normal(0, 6, (30, 13, 2)).astype(np.float32)
    visible = rng.random((30, 13)) < 0.8
    visible[:12, 0], visible[11] = True, np.arange(13) < 9
    said = []
    for each in (joints, np.where(visible[..., None], joints, np.float32(nowhere))):
        poses = pose_of(each, visible, PENN_ACTION, 40.0)
        said.append(still_hidden(poses[12:], poses[:12], 40.0))
    assert np.array_equal(*said)
    assert 0 < said[0].mean() < 1


def test_graphs_say_of_the_same_parts_that_they_stay_hidden():
    rng = np.random.default_rng(0)
    joints = pose() + rng.normal(0, 4, (30, 13, 2)).astype(np.float32)
    for last in (rng.random(13) < 0.6, np.zeros(13, bool)):
        visible = rng.random((30, 13)) < 0.7
        visible[11] = last
        poses = pose_of(joints, visible, PENN_ACTION, 40.0)
        seen, wanted = poses[:12], poses[12:]
        said = still_hidden(wanted, seen, 40.0)
        bodies = (
            body_graph.Bodies(*map(torch.from_numpy, (each.ends, each.corners, each.known)))
            for each in (wanted, seen)
        )
        same = sources_graph.still_hidden(*bodies, torch.tensor(40.0))
        assert np.array_equal(same.numpy(), said)
        assert (0 < said.mean() < 1) == last.any()


@pytest.mark.parametrize("inside", [None, np.ones((128, 128), bool)])
def test_looking_only_where_a_part_can_show_changes_nothing(monkeypatch, inside):
    for shift in ((0, 0), (-60, 20)):  # the second cuts the person off at the edge
        past = np.stack([pose() + np.float32(shift)] * SEEN)
        frames = [picture(past[0], wall())] * SEEN
        future = np.stack([pose(**RAISED), pose(left_knee=(30, 80), left_ankle=(24, 100))])
        future = future + np.float32(shift) + (9, -14)
        found = carried(frames, past, future, masks=outline(frames), inside=inside)
        with monkeypatch.context() as patched:
            patched.setattr(layers, "reach", lambda *_: (slice(0, 128), slice(0, 128)))
            everywhere = carried(frames, past, future, masks=outline(frames), inside=inside)
        # OpenCV 4 fetches from 32nds of a pixel, which depend on where a picture begins.
        most = 0 if int(cv2.__version__.split(".")[0]) >= 5 else 4
        assert np.abs(np.subtract(found, everywhere, dtype=int)).max() <= most
        assert not np.array_equal(found[0], frames[-1])


def test_a_shoulder_hidden_behind_the_other_takes_neither_torso_nor_head_away():
    frames, past = still()
    sideways = pose(left_shoulder=(0, 0), right_shoulder=(66, 40)) + np.float32([12, 0])
    visible = ALL.copy()
    visible[SEEN, PENN_ACTION.index("left_shoulder")] = False
    drawn = carried(frames, past, sideways[None], visible, masks=outline(frames))[0].astype(int)
    assert (np.abs(drawn[56:68, 72:84] - SHIRT).sum(-1) < 60).mean() > 0.7
    assert (np.abs(drawn[18:27, 72:81] - SKIN).sum(-1) < 60).mean() > 0.7


def test_a_trunk_that_turns_round_is_not_drawn_out():
    size = 32.0
    seen, turned = (pose_of(each[None], ALL[:1], PENN_ACTION, size)[0] for each in (pose(), pose()))
    middle = turned.corners.mean(axis=0)
    for width in np.linspace(1, -1, 21):
        corners = middle + (turned.corners - middle) * (width, 1)
        linear = part_transform(TORSO, replace(turned, corners=corners), seen, size)[:, :2]
        assert np.linalg.svd(linear)[1].min() > LEAST_TORSO - 1e-4
        assert np.linalg.det(linear) > 0
        if width == 1:
            assert np.allclose(linear, np.eye(2), atol=1e-5)


def test_who_hardly_moves_stays_bit_for_bit_whatever_a_refinement_says():
    frames, past = still()
    future = past[:1] + np.float32([0.3, 0])
    person = CarriedPerson(np.stack(frames), np.concatenate([past, future]), ALL, PENN_ACTION)
    rng = np.random.default_rng(0)
    shapes = ((5, 128, 128), (3, 128, 128), (8, 64, 64))
    said = FrameChanges(*(list(rng.normal(size=s).astype(np.float32)) for s in shapes))
    assert np.array_equal(person.frame(person.layers(0), said), frames[-1])
    moved = np.concatenate([past, past[:1] + np.float32([9, 0])])
    person = CarriedPerson(np.stack(frames), moved, ALL, PENN_ACTION)
    changed, plain = (person.frame(person.layers(0), each) for each in (said, None))
    assert np.abs(changed.astype(int) - plain).mean() > 5


def test_a_part_comes_from_the_frame_in_which_it_is_most_alike():
    # The raised arm was seen in green, some frames ago; the lowered one is red.
    raised, lowered = pose(**RAISED), pose()
    green = picture(raised, wall())
    red = (green[..., 0] > 190) & (green[..., 1] < 110)
    green[red] = (60, 230, 60)
    frames = [green] * 3 + [picture(lowered, wall())] * 3
    past = np.stack([raised] * 3 + [lowered] * 3)
    frame = carried(frames, past, raised[None])[0]
    forearm = frame[36:42, 27:34].reshape(-1, 3).astype(int)
    assert (forearm[:, 1] > forearm[:, 0]).mean() > 0.8


def test_a_part_comes_from_no_frame_of_another_light():
    """A title that dissolves showed through whoever was taken from under it."""
    frames, past = still()
    raised, before = pose(**RAISED), picture(pose(**RAISED), wall())
    bright = (before // 2 + 128).astype(np.uint8)
    past[:2] = raised
    arm = np.abs(before.astype(int) - picture(pose(), wall())).sum(-1) > 60
    arm[50:] = False
    shown = {}
    for name, picture_before in (("same", before), ("other", bright)):
        frame = carried([picture_before] * 2 + frames[2:], past, raised[None])[0]
        shown[name] = np.abs(frame.astype(int) - before)[arm].mean()
    assert shown["same"] < 8
    assert shown["other"] < 40 < np.abs(bright.astype(int) - before)[arm].mean()


FOLDED = {"left_knee": (36.0, 84.0), "left_ankle": (56.0, 80.0)}


def test_a_leg_that_was_folded_is_whole_when_it_is_stretched():
    """Thigh and shin had shared its width, and each was a strip."""
    frames, past = still(**FOLDED)
    for target, below in ((pose(), 76), (pose(left_knee=(35, 80)), 86)):
        frame = carried(frames, past, target[None], masks=outline(frames))[0].astype(int)
        red = [np.abs(each - (230.0, 60, 60)).sum(-1) for each in (picture(target, wall()), frame)]
        leg = red[0][below:106, 30:62] < 20
        assert leg.sum() > 100
        assert (red[1][below:106, 30:62] < 90)[leg].mean() > 0.9


def test_the_exported_members_are_those_of_the_drawer():
    moved = [{}, FOLDED, FOLDED | {"right_hip": (50, 76), "right_knee": (46, 80)}]
    joints, visible = np.stack([pose(**each) for each in moved]), ALL[:3].copy()
    visible[2, PENN_ACTION.index("left_ankle")] = False
    seen = pose_of(joints, visible, PENN_ACTION, 32.0)
    distances = np.stack([part_distances(seen[t], 128, 32.0) for t in range(3)])
    mask = person_mask(distances.min(axis=1))
    bodies = body_graph.Bodies(*map(torch.from_numpy, (seen.ends, seen.corners, seen.known)))
    found = sources_graph.members_of(*map(torch.from_numpy, (mask, distances)), bodies)
    np.testing.assert_allclose(found, members_of(mask, distances, seen), atol=1e-6)


def test_a_moving_camera_moves_the_room_on():
    room = wall(160)
    frames, past = [], []
    for t in range(SEEN):
        frames.append(picture(pose(), np.ascontiguousarray(room[:128, 2 * t : 2 * t + 128])))
        past.append(pose())
    frame = carried(frames, np.stack(past), pose()[None])[0].astype(int)
    true = room[:128, 2 * SEEN : 2 * SEEN + 128].astype(int)
    corner = (slice(0, 30), slice(90, 118))
    stayed = np.abs(frames[-1].astype(int) - true)[corner].mean()
    assert np.abs(frame - true)[corner].mean() < 0.4 * stayed
    stopped = carried(frames, np.stack(past), pose()[None], camera_stops=True)[0]
    assert np.array_equal(stopped[corner], frames[-1][corner])


def test_masks_that_say_more_take_more_along():
    frames, past = still()
    bag = [frame.copy() for frame in frames]
    for frame in bag:
        frame[76:84, 36:44] = (255, 255, 0)  # held in the left hand
    left_behind = []
    for masks in (outline(frames), outline(bag)):
        frame = carried(bag, past, pose(**RAISED)[None], masks=masks)[0]
        yellow = (frame[..., 0] > 200) & (frame[..., 1] > 200) & (frame[..., 2] < 90)
        left_behind.append(yellow[78:86, 34:46].sum())
    assert left_behind[1] < 0.3 * left_behind[0]


def test_a_skeleton_with_a_nose_has_a_head():
    joints = np.zeros((2, COCO.num_joints, 2), np.float32)
    for name, place in zip(PENN_ACTION.joints, pose(), strict=True):
        joints[:, COCO.index("nose" if name == "head" else name)] = place
    visible = np.ones(joints.shape[:2], bool)
    frames = picture(pose(), wall())[None]
    joints[1, COCO.index("nose")] += (0, 14)
    person = CarriedPerson(frames, joints, visible, COCO)
    frame = person.frame(person.layers(0)).astype(int)
    skin = np.abs(frame - (240, 220, 180)).sum(-1) < 60
    assert skin.nonzero()[0].mean() > 24 + 5


def test_hidden_hips_are_where_the_body_takes_them_and_other_joints_stay_hidden():
    walking = np.stack([pose() + np.float32([3 * t, -t]) for t in range(7)])
    visible = np.ones(walking.shape[:2], bool)
    visible[2:5, [PENN_ACTION.index("left_hip"), PENN_ACTION.index("right_hip")]] = False
    visible[5:, PENN_ACTION.index("left_shoulder")] = False
    visible[3:, PENN_ACTION.index("left_wrist")] = False
    visible[:, PENN_ACTION.index("right_shoulder")] = False
    given = np.where(visible[..., None], walking, np.float32(np.nan))
    joints, shown = without_gaps(given, visible, PENN_ACTION)
    never = ["left_wrist", "right_shoulder"]
    guessed = shown & ~visible
    assert not guessed[:, [PENN_ACTION.index(name) for name in never]].any()
    assert guessed.sum() == 3 * 2 + 2
    np.testing.assert_allclose(joints[shown], walking[shown], atol=1e-3)


@pytest.mark.parametrize("last_seen", [3, 6])
def test_a_leg_that_is_lost_in_a_blur_is_where_the_body_took_it(last_seen):
    walking = np.stack([pose() + np.float32([3 * t, -t]) for t in range(10)])
    visible = np.ones(walking.shape[:2], bool)
    names = ("left_knee", "left_ankle", "right_knee", "left_wrist")
    *leg, knee, wrist = map(PENN_ACTION.index, names)
    visible[last_seen + 1 :, [*leg, knee, wrist]] = False
    joints, shown = without_gaps(walking * visible[..., None], visible, PENN_ACTION)
    assert shown[:, leg].all() == (last_seen == 6)
    assert np.array_equal(shown[:, [knee, wrist]], visible[:, [knee, wrist]])
    np.testing.assert_allclose(joints[shown], walking[shown], atol=1e-3)


def test_the_exported_gaps_are_those_of_the_drawer():
    rng = np.random.default_rng(0)
    joints = rng.uniform(0, 1, (9, 13, 2)).astype(np.float32)
    visible = rng.uniform(size=(9, 13)) < 0.6
    expected, shown = without_gaps(joints, visible, PENN_ACTION)
    found = body_graph.without_gaps(*map(torch.from_numpy, (joints, visible)), PENN_ACTION)
    assert (shown & ~visible).any()
    np.testing.assert_array_equal(found[1], shown)
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_what_a_mask_missed_is_the_nearest_parts() -> None:
    distances = np.full((len(PARTS), 2, 2), 5.0, np.float32)
    distances[2], distances[TORSO, 0] = 4.0, 3.0
    missed, bare = np.array([[1, 0.2], [1, 0]], np.float32), np.zeros((2, 2), np.float32)
    mask, nearer = taken_in(missed, bare, distances)
    assert np.array_equal(mask, missed)
    assert (nearer[TORSO, 0, 0], nearer[2, 1, 0]) == (1, 1)
    assert (nearer != distances).sum() == 2
    tensors = map(torch.from_numpy, (missed, bare, distances))
    for each, same in zip(sources_graph.taken_in(*tensors), (mask, nearer), strict=True):
        assert np.array_equal(each, same)


def test_feet_are_where_a_lower_leg_is_nearest() -> None:
    distances = np.full((len(PARTS), 2, 2), 5.0, np.float32)
    shin = [part.name for part in PARTS].index("left_shin")
    distances[shin, 0, 1], distances[TORSO, 1] = 2.0, 2.0
    assert at_feet(distances).tolist() == [[0, 1], [0, 0]]
    assert sources_graph.at_feet(torch.from_numpy(distances)).tolist() == [[0, 1], [0, 0]]
