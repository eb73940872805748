"""Windows of the motion network: what they hold, and how they are varied."""

import numpy as np
import pytest
import torch

from motion.moving_people import MIRROR, people
from posecast.motion.basis import from_cosines
from posecast.networks.motion_residual import MotionResidual, MotionResidualConfig
from posecast.training.motion_augmentation import MotionAugmentation
from posecast.training.motion_batches import MotionBatches, MotionMix, TrackFacts
from posecast.training.motion_windows import (
    FRAMES,
    WindowChoice,
    build_base,
    choose_windows,
    cut_windows,
    find_others,
)
from posecast.training.settings import FitConfig

TRACKS = np.arange(30)
FACTS = TrackFacts(TRACKS % 2, TRACKS, TRACKS % 5 == 0, np.zeros(30, bool))


@pytest.fixture(scope="module")
def windows():
    tracks = [*people(24), *people(6, 150, is_clip=False)]
    base, sources = build_base(tracks, MIRROR, {}, every_clip=2)
    windows = choose_windows(tracks, WindowChoice(rounds_clip=2), seed=0)
    return find_others(windows, base, lambda rows: rows[:, None] == sources[None])


@pytest.fixture(scope="module")
def batches(windows):
    mix, vary = MotionMix(), MotionAugmentation()
    return MotionBatches(windows, FACTS, MIRROR, mix, vary, FitConfig(100, 48, seed=3))


def test_a_batch_is_a_function_of_seed_and_number(batches):
    first, again, other = batches(5), batches(5), batches(6)

    assert torch.equal(first.inputs.was, again.inputs.was)
    assert torch.equal(first.future, again.future)
    assert not torch.equal(first.future, other.future)


def test_unknown_people_come_last(batches):
    batch = batches(0)

    known = 48 - round(48 * MotionMix().unknown)
    assert batch.known.tolist() == [1] * known + [0] * (48 - known)
    assert batches(75).known.all()


def test_batches_of_some_windows_hold_no_others(batches, windows):
    rows = windows.track % 3 == 1

    chosen, known = batches.among(MotionMix(unknown=0.5), rows).choose(4)

    tracks = windows.track[chosen.numpy()]
    assert (tracks % 3 == 1).all()
    np.testing.assert_array_equal(tracks % 5 != 0, known.numpy() == 1)
    assert known.reshape(4, 48).sum(dim=1).tolist() == [24] * 4


def test_most_windows_say_whether_their_clip_is_cut_to_one_action(batches):
    drawn = [batches(number) for number in range(40)]
    told, video = (
        torch.cat([each.inputs.trimmed for each in drawn]),
        torch.cat([each.video for each in drawn]),
    )

    assert set(told[video == 0].tolist()) == {0.0, 1.0}
    assert set(told[video == 1].tolist()) == {0.0, -1.0}
    assert (told == 0).float().mean() == pytest.approx(MotionAugmentation().untold, abs=0.03)


def test_an_untrained_network_says_nothing_of_its_own(batches):
    network = MotionResidual(MotionResidualConfig(width=16, blocks=2)).eval()
    inputs = batches(0).inputs

    said = network(inputs)

    trusted = torch.sigmoid(3 - 5 * inputs.own_facts[:, 2]) * inputs.own_facts[:, 0]
    own, others = (
        network.members[0].basis @ each.flatten(2) for each in (inputs.own, inputs.others)
    )
    expected = trusted[:, None, None] * own + (1 - trusted)[:, None, None] * 0.5 * others
    torch.testing.assert_close(said.bold.flatten(2), expected, atol=1e-4, rtol=1e-3)


def test_a_frame_is_forecast_alike_whichever_others_are_asked_for(batches):
    network = MotionResidual(MotionResidualConfig(width=16, blocks=2)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    inputs, frames = batches(0).inputs, torch.tensor(FRAMES)

    some, every = network(inputs, frames), network(inputs)

    torch.testing.assert_close(some.moved, every.moved[:, frames], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(some.log_radius, every.log_radius[:, :, frames])


def test_a_mirrored_motion_has_a_mirrored_forecast(batches):
    network = MotionResidual(MotionResidualConfig(width=16, blocks=2)).eval()
    torch.nn.init.normal_(network.members[0].add.weight, std=0.1)
    torch.nn.init.normal_(network.members[0].filters.weight, std=0.1)
    inputs = batches(0).inputs

    said, turned = network.both_ways(inputs), network.both_ways(inputs.mirrored(network.mirror))

    expected = said.moved[..., network.mirror, :] * torch.tensor([-1.0, 1.0])
    torch.testing.assert_close(turned.moved, expected, atol=1e-4, rtol=1e-3)


def test_a_window_knows_nothing_of_what_comes():
    track = people(1, 130)[0]
    place = (np.array([59]), np.array([0]), np.array([1]))
    changed = people(1, 130)[0]
    changed.joints_px[60:] += 500
    changed.visible[70:] = False

    mine, other = cut_windows(track, 0, *place), cut_windows(changed, 0, *place)

    for name in ("pose", "was", "exists", "visible", "unseen", "own", "own_best", "own_facts"):
        np.testing.assert_array_equal(getattr(mine, name), getattr(other, name))
    assert not np.array_equal(mine.future, other.future)
    assert mine.future_visible.all()
    assert not other.future_visible[:, -1].any()


def test_the_future_of_a_window_is_what_came():
    track = people(1, 130)[0]
    window = cut_windows(track, 0, np.array([59]), np.array([50]), np.array([1]))
    size = np.ptp(track.joints_px[50:60], axis=1).max()

    expected = (track.joints_px[60 + np.array(FRAMES)[:20]] - track.joints_px[59]) / size

    np.testing.assert_allclose(window.future[0, :20], expected, atol=2e-3)
    assert not from_cosines(window.own.astype(np.float32)).any()
