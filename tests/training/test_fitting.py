"""The fitting loop by itself: schedules, averaged weights, workers, refusals that explain."""

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from made_runs import same_weights, weights_of
from posecast.computing.devices import ComputeConfig
from posecast.networks.kinds import facts_of
from posecast.networks.pose_lstm import PoseLSTMConfig
from posecast.records.files import WriteError
from posecast.records.runs import Run, RunError
from posecast.store.reading import Store
from posecast.training.action import with_actions
from posecast.training.fitting import Descent, Validation, fit
from posecast.training.pose import PoseTrainingConfig, train_pose
from posecast.training.session import begin
from posecast.training.settings import ChosenClips, FitConfig, choose_clips
from posecast.windows import PoseWindows
from small_store import a_clip, a_store

TINY = PoseTrainingConfig(
    model=PoseLSTMConfig(hidden=8, encoder=4),
    windows=PoseWindows(num_past=4, num_future=6),
    validation_future=6,
).but(steps=4, batch_size=4, validate_every=2, checkpoint_every=2, log_every=1, device="cpu")
COSINE = TINY.but(schedule="cosine")


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    clips = [
        a_clip(f"{split[:2]}{n}", 1 + n, split)
        for split in ("train", "validation")
        for n in range(2)
    ]
    made = a_store(tmp_path / "store", *clips)
    monkeypatch.setattr(Store, "open", lambda _path: made)
    return made


class Target(NamedTuple):
    """A batch for a network of one number."""

    value: Tensor


@dataclass(frozen=True)
class Targets:
    """Batch number n asks for n."""

    def __call__(self, number: int) -> Target:
        return Target(torch.tensor(float(number)))


class OneNumber(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.zeros(()))


def step(network: nn.Module, batch: Target) -> tuple[Tensor, dict[str, Tensor]]:
    loss = (network.number - batch.value).square()
    return loss, {"loss": loss.detach(), "target": batch.value}


def score(network: nn.Module, device: torch.device) -> dict[str, float]:
    assert not network.training
    return {"number": float(network.number)}


def fit_number(run_path: Path, store: Store, validation: Validation | None = None, **options):
    """Fit OneNumber in a run; result, network and the run."""
    config = TINY.but(optimizer="adam", weight_decay=0.0, learning_rate=0.5, **options)
    with begin(
        config, store, choose_clips(config, store), run_path, config.run_on.launch()
    ) as session:
        network = OneNumber()
        result = fit(Descent(network, step, session), Targets(), validation, session)
    return result, network, session.run


def test_the_schedule_is_followed_and_logged(store, tmp_path):
    _, _, run = fit_number(tmp_path / "run", store, schedule="cosine")
    rates = [record["learning_rate"] for record in run.read_metrics()]
    assert rates == pytest.approx([0.5, 0.25 * (1 + 0.5**0.5), 0.25, 0.25 * (1 - 0.5**0.5)])


def test_averaged_weights_are_validated_and_kept(store, tmp_path):
    validation = Validation(score, "number")
    result, network, run = fit_number(tmp_path / "run", store, validation, average=0.25)
    # The moving average of what the network was after each step, worked out beside the loop.
    plain = fit_number(tmp_path / "plain", store, checkpoint_every=1, steps=1)[1]
    values, average = [], 0.0
    for steps in range(1, 5):
        plain = fit_number(tmp_path / "plain", store, checkpoint_every=1, steps=steps)[1]
        values.append(plain.number.item())
        decay = min(0.25, steps / (steps + 9))
        average = decay * average + (1 - decay) * values[-1]
    assert network.number.item() == pytest.approx(values[-1])
    kept = weights_of(run.path)["number"].item()
    assert kept == pytest.approx(average)
    assert kept != pytest.approx(values[-1])
    assert result.best_score == pytest.approx(average)


def test_averaged_weights_resume_exactly(store, tmp_path):
    straight = fit_number(tmp_path / "straight", store, average=0.9)[2]
    fit_number(tmp_path / "halves", store, average=0.9, steps=2)
    halves = fit_number(tmp_path / "halves", store, average=0.9)[2]
    assert same_weights(straight.path, halves.path)


def test_the_lowest_score_can_be_the_best(store, tmp_path):
    lowest = fit_number(tmp_path / "a", store, Validation(score, "number", lowest=True))[2]
    highest = fit_number(tmp_path / "b", store, Validation(score, "number"))[2]
    assert [facts_of(run.path, "best").step for run in (lowest, highest)] == [2, 4]


def test_workers_prepare_the_same_batches(store, tmp_path):
    train_pose(TINY, store.path, tmp_path / "alone")
    train_pose(TINY.but(workers=2), store.path, tmp_path / "helped")
    assert same_weights(tmp_path / "alone", tmp_path / "helped")
    records = [Run.open(tmp_path / name).read_metrics() for name in ("alone", "helped")]
    assert records[0] == records[1]


def test_a_longer_cosine_schedule_is_refused_with_its_reason_and_the_way_on(store, tmp_path):
    train_pose(COSINE, store.path, tmp_path / "run")
    longer = COSINE.but(steps=8)
    with pytest.raises(RunError, match=r"4 steps with a cosine schedule.* --init-from .*run"):
        train_pose(longer, store.path, tmp_path / "run")
    further = longer.but(init_from=tmp_path / "run")
    assert train_pose(further, store.path, tmp_path / "further").step == 8
    assert train_pose(COSINE, store.path, tmp_path / "run").step == 4


def test_a_pose_run_starts_from_the_weights_of_another(store, tmp_path):
    train_pose(TINY, store.path, tmp_path / "first")
    still = TINY.but(init_from=tmp_path / "first", learning_rate=1e-12, steps=1, seed=7)
    train_pose(still, store.path, tmp_path / "second")
    from_file = still.but(init_from=tmp_path / "first" / "weights-best.safetensors")
    train_pose(from_file, store.path, tmp_path / "third")
    expected = weights_of(tmp_path / "first", "best")
    for name in ("second", "third"):
        for key, weight in weights_of(tmp_path / name).items():
            torch.testing.assert_close(weight, expected[key], atol=1e-9, rtol=0)
    other = still.but(model=PoseLSTMConfig(hidden=9, encoder=4))
    with pytest.raises(ValueError, match=r"init_from .* give the same --model settings"):
        train_pose(other, store.path, tmp_path / "fourth")
    assert not (tmp_path / "fourth").exists()


def test_runs_go_on_where_they_and_what_they_began_from_were_moved_to(store, tmp_path):
    (there := tmp_path / "there").mkdir()
    train_pose(TINY, store.path, tmp_path / "first")
    config = TINY.but(init_from=tmp_path / "first", steps=2, seed=7)
    train_pose(config, store.path, tmp_path / "second")
    copied, further = (there / "first", config.but(init_from=there / "first", steps=4))
    shutil.copytree(tmp_path / "first", copied)
    with pytest.raises(RunError, match=r"init_from: '.*first' -> '.*there/first'"):
        train_pose(further, store.path, tmp_path / "second")  # which of the two?
    shutil.rmtree(tmp_path / "first")
    (tmp_path / "second").rename(there / "second")
    assert train_pose(further, store.path, there / "second").step == 4
    with pytest.raises(RunError, match=r"init_from: '.*first' -> None"):
        train_pose(further.but(init_from=None), store.path, there / "second")


def test_runs_of_the_first_release_are_not_continued_but_start_others(store, tmp_path):
    """Their settings were flat; here a run of today is given such ones."""
    train_pose(TINY, store.path, tmp_path / "old")
    path = tmp_path / "old" / "config.json"
    stored = json.loads(path.read_text())
    config = stored["config"]
    config |= config.pop("fit") | config.pop("run_on")
    path.write_text(json.dumps({"kind": "pose", "config": config}))
    with pytest.raises(RunError, match=r"begun by an older posecast.*--init-from"):
        train_pose(TINY, store.path, tmp_path / "old")
    config = TINY.but(init_from=tmp_path / "old")
    assert train_pose(config, store.path, tmp_path / "new").step == 4


def test_settings_are_changed_in_whatever_group_they_are():
    changed = TINY.but(steps=9, num_devices=2, loss="distance", fit=FitConfig(seed=3))
    assert changed.fit == FitConfig(steps=9, seed=3)
    assert changed.run_on == ComputeConfig("cpu", num_devices=2)
    assert changed.loss == "distance"
    with pytest.raises(TypeError, match="stepz"):
        TINY.but(stepz=3)


def test_clips_without_an_action_teach_no_classifier(store, tmp_path, caplog):
    actions = {"a": "jump", "b": "", "c": "walk", "d": ""}
    clips = [a_clip(name, 1, action=action) for name, action in actions.items()]
    held_out = [a_clip("e", 1, action="walk"), a_clip("f", 1, action="swim")]
    with caplog.at_level(logging.WARNING):
        kept, names = with_actions(ChosenClips(clips, held_out))
    assert "3 clips without an action" in caplog.text
    assert names == ["jump", "walk"]
    assert [clip.clip_id for clip in kept.train + kept.validation] == ["a", "c", "e"]
    with pytest.raises(ValueError, match=r"two actions or more, got \['walk'\]"):
        with_actions(ChosenClips(clips[1:], []))


def test_weights_without_a_checkpoint_are_not_overwritten(store, tmp_path):
    train_pose(TINY, store.path, tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.unlink()
    kept = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("weights-*")}
    assert kept.keys() == {"weights-best.safetensors", "weights-last.safetensors"}
    with pytest.raises(RunError, match=r"weights but no checkpoint.*--init-from .*--fresh"):
        train_pose(TINY, store.path, tmp_path / "run")
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").glob("weights-*")} == kept
    assert train_pose(TINY, store.path, tmp_path / "run", fresh=True).step == 4


class KilledError(Exception):
    """Stands for a kill."""


def killed_after_two(network: nn.Module, batch: Target) -> tuple[Tensor, dict[str, Tensor]]:
    if int(batch.value) == 2:
        raise KilledError
    return step(network, batch)


def test_the_first_best_weights_can_be_gone_on_from(store, tmp_path):
    """Killed after a validation, long before the first checkpoint would be due."""
    config = TINY.but(steps=6, checkpoint_every=100)
    clips, path = choose_clips(config, store), tmp_path / "run"

    def start(step):
        with begin(config, store, clips, path, config.run_on.launch()) as session:
            descent = Descent(OneNumber(), step, session)
            return fit(descent, Targets(), Validation(score, "number"), session)

    with pytest.raises(KilledError):
        start(killed_after_two)
    assert [each.name for each in (path / "checkpoints").iterdir()] == ["step-00000002.pt"]
    assert facts_of(path).step == 2
    assert start(step).step == 6


@pytest.mark.parametrize("name", ["save_weights", "save_checkpoint"])
def test_after_a_full_disk_the_same_command_begins_anew(store, tmp_path, monkeypatch, name):
    """Of the first checkpoint; weights alone would be in the way."""
    whole = getattr(Run, name)

    def full(run, *given):
        if given[0] in (2, "last"):
            raise WriteError("no space left")
        whole(run, *given)

    monkeypatch.setattr(Run, name, full)
    with pytest.raises(WriteError):
        train_pose(TINY, store.path, tmp_path / "run")
    monkeypatch.setattr(Run, name, whole)
    assert train_pose(TINY, store.path, tmp_path / "run").step == 4
    train_pose(TINY, store.path, tmp_path / "whole")
    assert same_weights(tmp_path / "run", tmp_path / "whole")
