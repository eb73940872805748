"""Trust learned of everybody, from networks that do not know them."""

from dataclasses import replace

import pytest
import torch

from benchmarks import motion_trust
from benchmarks.motion_trust import Strangers, fold_of, learn_trust, of_strangers
from benchmarks.ship_motion import with_trust
from motion.moving_people import people
from posecast.networks.motion_parts import how_far
from posecast.networks.motion_residual import MotionResidual, MotionResidualConfig
from posecast.records.weights import WeightsFacts, write_weights
from posecast.training.motion import MotionTrainingConfig
from posecast.training.motion_windows import FRAMES, WindowChoice, choose_windows

TRACKS = [
    *people(9),
    *(replace(each, group=f"m{n // 2}") for n, each in enumerate(people(12, 90, is_clip=False))),
]
TINY = MotionTrainingConfig(
    model=MotionResidualConfig(width=8, blocks=2, trimmed=True),
    windows=WindowChoice(rounds_clip=1, rounds_video=1, first=2, others=4, every=12),
).but(batch_size=20)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(motion_trust, "CONFIG", TINY)


@pytest.fixture(scope="module")
def windows():
    return choose_windows(TRACKS, TINY.windows, seed=0)


def test_a_group_is_of_one_fold_and_every_fold_has_people():
    folds = fold_of(TRACKS)

    assert set(folds) == {0, 1, 2, 3}
    by_group = {}
    for track, fold in zip(TRACKS, folds, strict=True):
        by_group.setdefault(track.group, set()).add(fold)
    assert all(len(each) == 1 for each in by_group.values())


def test_what_is_said_of_a_window_is_said_by_a_network_without_its_people(windows, monkeypatch):
    unknown = []

    def batches_of(_, __, strangers, plan):
        unknown.append(strangers)

    def train(*_):
        network = MotionResidual(TINY.model).eval()
        network.members[0].tell_fold = len(unknown) - 1
        return network

    def said_of(network, part):
        fold = network.members[0].tell_fold
        assert unknown[fold][part.track].all()
        told = torch.full((len(part), 1), float(fold))
        return Strangers(told, told, told)

    monkeypatch.setattr(motion_trust, "batches_of", batches_of)
    monkeypatch.setattr(motion_trust, "train", train)
    monkeypatch.setattr(motion_trust, "said_of", said_of)
    said = of_strangers(TRACKS, windows, 1)

    assert said.read[:, 0].tolist() == fold_of(TRACKS)[windows.track].tolist()


def test_trust_goes_as_far_as_was_right_of_clips_and_of_videos(windows, monkeypatch):
    future = torch.from_numpy(windows.future).float()
    is_clip = torch.from_numpy(windows.trimmed > 0)[:, None, None, None]
    network = MotionResidual(TINY.model).eval()
    read = motion_trust.said_of(network, windows).read
    # Of clips the bold forecast is right, of videos half of what both say.
    cautious = torch.where(is_clip, future + 0.1, 2 * future)
    bold = torch.where(is_clip, future, 2 * future)
    monkeypatch.setattr(motion_trust, "RATE", 1e-2)

    head = learn_trust(TRACKS, windows, Strangers(read, cautious, bold), steps=300)

    knots = network.members[0].get_buffer("knots")[:, torch.tensor(FRAMES)]
    with torch.inference_mode():
        trust, going = how_far(head(read), knots, torch.ones(()))
    clips = is_clip.flatten()
    assert trust[clips].mean() > 0.9
    assert going[clips].mean() > 0.9
    assert going[~clips].mean() == pytest.approx(0.5, abs=0.1)


def test_networks_that_ship_take_the_head_over(tmp_path):
    torch.manual_seed(0)
    network = MotionResidual(MotionResidualConfig(width=8, blocks=2, members=2))
    head = MotionResidual(TINY.model).members[0].trust
    torch.nn.init.normal_(head[0].weight)
    facts = WeightsFacts("motion", {}, "penn_action", fps=30.0, step=1)
    write_weights(tmp_path / "trust.safetensors", head.state_dict(), facts)

    told, known = with_trust(network, facts, tmp_path / "trust.safetensors")

    assert known.config["trimmed"]
    assert all(torch.equal(each.trust[0].weight, head[0].weight) for each in told.members)
    assert torch.equal(told.members[1].add.weight, network.members[1].add.weight)
