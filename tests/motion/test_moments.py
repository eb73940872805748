"""What the own past's moments count: learned from people who change their tempo."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.motion_moments import learn
from motion.moving_people import people
from posecast.motion.own_past import own_past
from posecast.motion.tracks import MotionTrack
from posecast.networks.moment_weights import MomentWeights, Parts, moment_facts
from posecast.skeletons import PENN_ACTION, SKELETONS
from posecast.training.motion_moments import (
    fit_moments,
    learn_moments,
    long_enough,
    moment_examples,
)


def slowing(number: int, motion: MotionTrack) -> MotionTrack:
    """Somebody who moves half as fast again in the first half as in the second, with jitter."""
    frames = np.concatenate([np.arange(100) * 1.5, 150 + np.arange(100)]).astype(int)
    jitter = np.random.default_rng(number).normal(0, 0.3, (200, 13, 2))
    joints = (motion.joints_px[frames] + jitter).astype(np.float32)
    return replace(motion, joints_px=joints, visible=motion.visible[:200])


TRACKS = [slowing(*each) for each in enumerate(people(8, 250, is_clip=False))]


@pytest.fixture(scope="module")
def apart():
    torch.set_num_threads(1)
    return learn(TRACKS, seed=0, steps=150)[1]


def error(track, weigh) -> float:
    past, came = track.joints_px[:150], track.joints_px[150:182]
    moved = own_past(past, track.visible[:150], weigh=weigh).likely_px[:32]
    return float(np.abs(past[-1] + moved - came).mean())


def test_they_find_the_present_tempo_of_people_that_they_do_not_know(apart):
    weighed = [error(track, each.of_one) for track, each in zip(TRACKS, apart, strict=True)]
    fixed = [error(track, None) for track in TRACKS]

    assert np.mean(weighed) < 0.5 * np.mean(fixed)


def test_each_track_has_weights_that_were_learned_without_its_group(apart):
    assert len({id(each) for each in apart}) == 4
    assert all(apart[number] is apart[number + 4] for number in range(4))
    examples = moment_examples(TRACKS, seed=0)
    for number in range(4):  # what facts are usual is known of those alone who were shown
        of_others = (examples.track % 4 != number).float()
        shown = fit_moments(examples, of_others, seed=0, steps=0)
        torch.testing.assert_close(apart[number].usual, shown.usual)


def test_the_same_is_learned_again():
    one, again = (learn_moments(TRACKS, seed=0, steps=10) for _ in range(2))

    for mine, other in zip(one.parameters(), again.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_any_track_that_is_called_long_enough_gives_examples():
    cut = [
        replace(TRACKS[0], joints_px=TRACKS[0].joints_px[:n], visible=TRACKS[0].visible[:n])
        for n in (27, 28)
    ]

    assert [long_enough([each]) for each in cut] == [False, True]
    assert all(len(moment_examples(cut[1:], seed).kind) for seed in range(40))
    assert long_enough(cut)


@pytest.mark.parametrize("skeleton", [None, PENN_ACTION])
def test_weights_add_up_to_one_and_moments_that_do_not_count_have_none(skeleton):
    torch.manual_seed(0)
    poses, moments = torch.randn(2, 120, 13, 2), torch.randint(4, 110, (2, 80))
    counted, turned = torch.rand(2, 80) < 0.6, torch.arange(80).expand(2, -1) >= 50

    weights = MomentWeights(skeleton)(poses, moments, torch.rand(2, 80), counted, turned)

    assert weights.shape == (2, 80, 64, 13 if skeleton else 1)
    assert torch.allclose(weights.sum(dim=1), torch.ones(()), atol=1e-5)
    assert not weights[~counted].any()
    assert (weights[counted & turned][:, :63] > 0).all()
    assert not weights[turned][:, 63].any()


def facts_of(
    poses: torch.Tensor, moments: list[int], turned: list[bool], parts: Parts = ()
) -> torch.Tensor:
    misfits, counted = torch.tensor([[0.1] * 2]), torch.ones(1, 2, dtype=torch.bool)
    about = (poses[None], torch.tensor([moments]), misfits, counted, torch.tensor([turned]))
    return moment_facts(*about, parts=parts)[0]


def test_a_moment_is_compared_with_the_last_frame_by_poses_and_velocities():
    """Known answers: a pose that is off by 0.1 in every coordinate of half of the joints."""
    poses = torch.zeros(200, 2, 2)
    poses[:100, 0] = 0.1

    facts = facts_of(poses, [90, 190], [False, False])

    about = 2 * 0.05**2  # about the mean joint both are off by 0.05 in two coordinates
    assert facts[0, :3].exp() == pytest.approx(torch.full((3,), about + 1e-4), rel=1e-3)
    assert facts[1, 0].exp() == pytest.approx(1e-4, rel=1e-3)
    assert facts[0, 3:9].exp() == pytest.approx(torch.full((6,), 1e-4), rel=1e-2)
    assert facts[:, -4] == pytest.approx(torch.log(torch.tensor([109.0, 9.0])))
    assert facts[0, -3] == pytest.approx(0.05 * 2**0.5, rel=1e-4)
    assert not facts[:, -2:].any()


def test_a_turned_moment_is_compared_with_the_motion_played_backwards():
    """Known answers: steady movement, now, and the other way a while ago."""
    there = torch.cat([torch.arange(100.0), torch.arange(99.0, -1.0, -1.0)]) / 100
    poses = there[:, None, None].repeat(1, 2, 2)

    facts = facts_of(poses, [190, 20], [True, True])  # nine frames from the beginning, and from now

    assert facts[0, 3:9].exp() == pytest.approx(torch.full((6,), 1e-4), rel=1e-2)
    assert (facts[1, 3:9].exp() > 1e-3).all()
    assert facts[:, -4] == pytest.approx(torch.log(torch.tensor([9.0, 179.0])))
    assert facts[:, -3] == pytest.approx(torch.tensor([0.09, 0.2]) * 2**0.5, rel=1e-4)
    assert facts[:, -1].tolist() == [1, 1]


def test_each_part_is_compared_by_itself():
    """Known answers: one of two arms was elsewhere, by 0.1 in every coordinate."""
    poses = torch.zeros(200, 4, 2)
    poses[:100, 0] = 0.1
    parts = (("arm", (0,)), ("arm", (1,)), ("upper", (2, 3)))

    facts = facts_of(poses, [90, 190], [False, False], parts)

    own, whole = 2 * 0.075**2, (2 * 0.075**2 + 3 * 2 * 0.025**2) / 4
    rest = facts[0, 28:].unflatten(0, (3, 18))
    assert facts.shape == (2, 28 + 3 * 18)
    assert facts[0, :3].exp() == pytest.approx(torch.full((3,), whole + 1e-4), rel=1e-3)
    assert rest[:, 0].exp() == pytest.approx(torch.tensor([own, *[2 * 0.025**2] * 2]) + 1e-4)


def test_a_moment_is_compared_with_the_last_frame_by_its_speed():
    """Known answers: the speed of now twice that of then, the same way and played backwards."""
    steps = torch.cat([torch.full((100,), 0.01), torch.full((100,), 0.02)])
    poses = steps.cumsum(0)[:, None, None].repeat(1, 2, 2)

    facts = facts_of(poses, [90, 150], [False, True], (("arm", (0, 1)),))

    then, is_now, product = 2 * 0.04**2, 2 * 0.08**2, 2 * 0.04 * 0.08  # over four frames
    ratio, now, alike = facts[:, 18:21].T.numpy()
    assert ratio == pytest.approx([np.log((then + 1e-4) / (is_now + 1e-4)) / 2] * 2, rel=1e-4)
    assert now == pytest.approx([np.log(is_now + 1e-4) / 2] * 2, rel=1e-4)
    assert alike == pytest.approx(np.array([1, -1]) * product / (product + 1e-4), rel=1e-3)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=list(SKELETONS))
def test_every_joint_is_of_one_part_and_the_mirror_image_of_a_part_is_one(skeleton):
    parts = [(kind, frozenset(joints)) for kind, joints in skeleton.parts]
    mirrored = [(kind, frozenset(skeleton.mirror[n] for n in joints)) for kind, joints in parts]

    assert sorted(n for _, joints in parts for n in joints) == list(range(skeleton.num_joints))
    assert set(mirrored) == set(parts)


def test_joints_of_one_part_are_weighed_alike_and_parts_apart():
    torch.manual_seed(0)
    poses, moments = torch.randn(1, 120, 13, 2), torch.randint(4, 110, (1, 80))
    counted, turned = torch.ones(1, 80, dtype=torch.bool), torch.arange(80)[None] >= 50

    weights = MomentWeights(PENN_ACTION)(poses, moments, torch.rand(1, 80), counted, turned)

    firsts = [joints[0] for _, joints in PENN_ACTION.parts]
    for _, (first, *others) in PENN_ACTION.parts:
        assert all(torch.equal(weights[..., first], weights[..., other]) for other in others)
    assert len({weights[0, 0, 0, first].item() for first in firsts}) == len(firsts)
