"""Left and right stay left and right, where an estimator takes them for each other."""

import numpy as np
import pytest
import torch

from posecast.estimation.estimator import EstimatorOptions, PoseEstimator
from posecast.estimation.following import follow
from posecast.estimation.sides import steady_sides
from posecast.export.network_graphs import EstimatorGraph
from posecast.media.grey_levels import to_network
from posecast.networks.movenet import MoveNet, MoveNetConfig
from posecast.skeletons import COCO, PENN_ACTION
from red_people import RedEstimator, frame_with

ORDER = list(PENN_ACTION.mirror)
UPPER, LEGS = (
    [i for i, name in enumerate(PENN_ACTION.joints) if name.endswith(part)]
    for part in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
)
WIDTHS = {"shoulder": 30, "elbow": 45, "wrist": 50, "hip": 18, "knee": 20, "ankle": 22}
HEIGHTS = {
    "head": 0,
    "shoulder": 25,
    "elbow": 50,
    "wrist": 70,
    "hip": 75,
    "knee": 110,
    "ankle": 150,
}


def person(width: float = 1.0, stride: float = 0.0) -> np.ndarray:
    """Somebody seen from behind; from the side where the width is small."""
    joints = np.zeros((PENN_ACTION.num_joints, 2))
    for i, name in enumerate(PENN_ACTION.joints):
        side, _, part = name.rpartition("_")
        sign = {"left": 1, "right": -1}.get(side, 0)
        swing = stride * {"ankle": 40, "knee": 20}.get(part, 0)
        joints[i] = 200 + sign * (width * WIDTHS.get(part, 0) + swing), 50 + HEIGHTS[part]
    return joints


def exchanged(joints: np.ndarray, part: list[int]) -> np.ndarray:
    joints = joints.copy()
    joints[..., part, :] = joints[..., [ORDER[i] for i in part], :]
    return joints


def steady(joints: np.ndarray, seen: np.ndarray | None = None) -> np.ndarray:
    seen = np.ones(joints.shape[:2], bool) if seen is None else seen
    return steady_sides(joints, seen * 0.9, seen, PENN_ACTION)[0]


def moving(num_frames: int = 20) -> np.ndarray:
    return np.stack([person() + np.array([2 * t, 3 * np.sin(t)]) for t in range(num_frames)])


@pytest.mark.parametrize("part", [UPPER, LEGS, UPPER + LEGS])
def test_what_is_exchanged_for_some_frames_is_exchanged_back(part):
    found = moving()
    found[8:12], found[15] = exchanged(found[8:12], part), exchanged(found[15], part)
    np.testing.assert_array_equal(steady(found), moving())


def test_confidence_goes_with_the_joints_and_nothing_given_is_changed():
    found, seen = moving(), np.ones((20, PENN_ACTION.num_joints), bool)
    found[8] = exchanged(found[8], LEGS)
    confidence = np.tile(np.linspace(0.3, 0.9, PENN_ACTION.num_joints), (20, 1))
    before = found.copy(), confidence.copy()
    _, sure = steady_sides(found, confidence, seen, PENN_ACTION)
    np.testing.assert_array_equal(sure[8, LEGS], confidence[8, [ORDER[i] for i in LEGS]])
    np.testing.assert_array_equal(np.delete(sure, 8, axis=0), np.delete(confidence, 8, axis=0))
    np.testing.assert_array_equal(found, before[0])
    np.testing.assert_array_equal(confidence, before[1])


def test_frames_depend_on_those_before_alone():
    found = moving()
    found[8:12] = exchanged(found[8:12], LEGS)
    whole = steady(found)
    for end in (5, 9, 13):
        np.testing.assert_array_equal(steady(found[:end]), whole[:end])


def test_legs_that_pass_each_other_and_people_who_turn_are_left_alone():
    walker = np.stack([person(0.05, np.sin(t / 4)) for t in range(60)])
    turning = np.stack([person(np.cos(t / 12)) for t in range(60)])
    for found in (walker, turning):
        np.testing.assert_array_equal(steady(found), found)


def test_a_turn_that_was_seen_late_is_believed_in_the_end():
    found = moving(40)
    found[10:] = exchanged(found[10:], UPPER + LEGS)
    result = steady(found)
    np.testing.assert_array_equal(result[:20], moving(40)[:20])
    np.testing.assert_array_equal(result[21:], found[21:])


def test_what_was_found_for_long_is_not_held_against_a_turn_forever():
    found = moving(150)
    found[90:] = exchanged(found[90:], UPPER + LEGS)
    result = steady(found)
    np.testing.assert_array_equal(result[:120], moving(150)[:120])
    np.testing.assert_array_equal(result[121:], found[121:])


def test_limbs_that_were_hidden_for_long_may_have_changed_sides():
    found, seen = moving(60), np.ones((60, PENN_ACTION.num_joints), bool)
    found[20:], seen[10:20, 1:] = exchanged(found[20:], UPPER + LEGS), False
    seen[10:20, PENN_ACTION.index("left_knee")] = True
    np.testing.assert_array_equal(steady(found, seen), found)
    seen[14, 1:] = True  # not for long: they are exchanged
    assert (steady(found, seen)[20] != found[20]).any()


def test_left_and_right_in_the_same_place_tell_nothing():
    found, seen = moving(), np.ones((20, PENN_ACTION.num_joints), bool)
    ankles = [PENN_ACTION.index("left_ankle"), PENN_ACTION.index("right_ankle")]
    found[:, ankles[0]] = found[:, ankles[1]]
    seen[1:, LEGS] = False
    seen[1:, ankles] = True
    np.testing.assert_array_equal(steady(found, seen), found)


def test_who_was_lost_begins_anew():
    found, seen = moving(), np.ones((20, PENN_ACTION.num_joints), bool)
    found[10:], seen[9] = exchanged(found[10:], UPPER + LEGS), False
    np.testing.assert_array_equal(steady(found, seen), found)


def test_each_shot_begins_anew():
    found = moving(40)
    found[10:30] = exchanged(found[10:30], UPPER + LEGS)
    shown = (found, np.full(found.shape[:2], 0.9), np.ones(found.shape[:2], bool), PENN_ACTION)
    result = steady_sides(*shown, [0] * 10 + [10] * 30)[0]
    np.testing.assert_array_equal(result[:30], found[:30])
    np.testing.assert_array_equal(result[30:], exchanged(found[30:], UPPER + LEGS))


def test_joints_that_two_looks_find_apart_are_doubted(monkeypatch):
    """The picture and its mirror image, one joint far apart and one a little."""
    straight = torch.rand(1, 17, 2, generator=torch.Generator().manual_seed(0))
    moved = straight.clone()
    moved[0, COCO.index("left_elbow"), 0] += 0.4
    moved[0, COCO.index("right_elbow"), 0] += 0.02
    back = moved[:, list(COCO.mirror)].clone()
    back[..., 0] = 1 - back[..., 0]
    network = _Says(torch.cat([straight, back]), torch.full((2, 17), 0.6))
    estimator = PoseEstimator(MoveNet(MoveNetConfig()), COCO, EstimatorOptions(device="cpu"))
    monkeypatch.setattr(estimator, "_network", network)
    pictures = np.zeros((1, 192, 192, 3), np.uint8)
    pictures[:, :, 0] = 255  # which of both it is
    joints, sure = estimator.estimate(pictures)
    want = np.full((1, 17), 0.6)
    want[0, COCO.index("left_elbow")] = -0.6
    np.testing.assert_allclose(sure, want, rtol=1e-6)
    np.testing.assert_allclose(joints, (straight + moved) / 2, rtol=1e-5)
    traced = EstimatorGraph(network, estimator)(torch.from_numpy(pictures))
    for got, found in zip(traced, (joints, sure), strict=True):
        np.testing.assert_allclose(got, found, rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_pictures_looked_at_side_by_side_are_found_as_together(count):
    torch.manual_seed(0)
    estimator = PoseEstimator(MoveNet(MoveNetConfig()), COCO, EstimatorOptions(device="cpu"))
    pictures = np.random.default_rng(0).integers(0, 256, (count, 192, 192, 3), np.uint8)
    with torch.inference_mode():
        joints, sure = estimator.find(to_network(torch.from_numpy(pictures)))
    got = estimator.estimate(pictures)
    np.testing.assert_allclose(got[0], joints, atol=1e-5)
    np.testing.assert_allclose(got[1], sure, atol=1e-5)


def test_doubted_joints_count_for_where_somebody_is_but_not_as_seen():
    class Doubting(RedEstimator):
        def estimate(self, pictures):
            joints, sure = super().estimate(pictures)
            sure[:, 3:] *= -1
            return joints, sure

    frames = [frame_with((20 + 3 * t, 30, 24, 48)) for t in range(10)]
    plain, doubted = (follow(frames, finder) for finder in (RedEstimator(), Doubting()))
    np.testing.assert_array_equal(doubted.joints_px, plain.joints_px)
    assert doubted.visible[:, :3].all()
    assert not doubted.visible[:, 3:].any()
    np.testing.assert_array_equal(doubted.confidence[:, :3], plain.confidence[:, :3])
    assert not doubted.confidence[:, 3:].any()


class _Says(MoveNet):
    """Answers as it is told, of a picture that is bright on its left and of its mirror image."""

    def __init__(self, joints: torch.Tensor, scores: torch.Tensor) -> None:
        super().__init__(MoveNetConfig())
        self.told = joints, scores

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = (images[:, 0, 0, 0] < 0).long()
        return self.told[0][rows], self.told[1][rows]
