"""Beginning runs and going on with them: what is refused, and that nothing is touched before."""

import importlib.metadata
import json
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from made_runs import Adam, Config, make_run
from posecast.records import locks
from posecast.records.runs import Run, RunError
from posecast.records.training_data import TrainingData, read_training_data
from posecast.records.training_runs import training_run

DATA = TrainingData({"size": 128}, ("0001", "0002"), ("0003",), "abc")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that has learned something."""
    run = make_run(tmp_path / "run", Config(), "pose", DATA)
    run.save_checkpoint(1, {"w": torch.ones(1)})
    return run


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, the lock apart."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_of_runs_that_noted_no_other_data_it_is_not_known():
    before, now = TrainingData(train=("a",)), TrainingData(train=("a",), beside=(DATA,))
    assert before.differences(now) == []
    assert not before.going_on_with(now).is_known
    assert now.going_on_with(now) == now
    changed = replace(now, beside=(replace(DATA, train=("0001",)),))
    assert now.differences(changed) == ["other data 1: train: 2 -> 1; no longer 0002"]


def test_a_new_run_describes_itself(run: Run) -> None:
    stored = json.loads((run.path / "config.json").read_text())
    assert stored == {
        "format_version": 2,
        "kind": "pose",
        "config": {"steps": 10, "optimizer": {"lr": 0.1}},
    }
    versions = json.loads((run.path / "versions.json").read_text())
    assert len(versions) == 1
    assert versions[0]["torch"] == importlib.metadata.version("torch")
    opened = Run.open(run.path, "pose")
    assert (opened.config_dict, opened.data) == (run.config_dict, DATA)


def test_another_config_is_refused_and_the_fields_named(run: Run) -> None:
    before = contents(run.path)
    changed = replace(Config(), steps=20, optimizer=Adam(0.2))
    with pytest.raises(RunError, match="--fresh") as caught:
        make_run(run.path, changed, "pose", DATA)
    assert "steps: 10 -> 20" in str(caught.value)
    assert "optimizer.lr: 0.1 -> 0.2" in str(caught.value)
    with pytest.raises(RunError, match="kind 'pose', expected 'image'"):
        make_run(run.path, Config(), "image", DATA)
    assert contents(run.path) == before


@dataclass(frozen=True)
class Learned:
    """What another training learns from as well."""

    more: tuple[Path, ...]


def test_of_each_place_that_is_gone_the_name_is_compared(tmp_path: Path, caplog) -> None:
    here, gone, new, other = (tmp_path / f"{name}/store" for name in ("b", "gone", "new", "x"))
    here.mkdir(parents=True)
    for number, then in enumerate([(here, gone), (gone, here)]):
        path = tmp_path / f"run{number}"
        make_run(path, Learned(then), "pose", DATA).save_checkpoint(1, {"w": torch.ones(1)})
        moved = tuple(new if each == gone else each for each in then)
        for asked in ((new, other), (other, new), (new,), (new, here, new), moved[::-1]):
            with pytest.raises(RunError, match="more: "):
                make_run(path, Learned(asked), "pose", DATA)
        caplog.clear()
        make_run(path, Learned(moved), "pose", DATA)
        assert caplog.messages == [f"{gone} is gone; {new}, of the same name, is taken for it"]
        assert Run.open(path).config_dict == {"more": [str(each) for each in moved]}


def test_fields_that_may_change_are_stored_anew(run: Run) -> None:
    with training_run(run.path, Config(steps=20), "pose", DATA, may_change=("steps",)):
        pass
    assert Run.open(run.path).config_dict["steps"] == 20


def test_where_nothing_was_learned_another_command_may_begin(tmp_path: Path) -> None:
    wrong = make_run(tmp_path / "run", Config(steps=1), "image", DATA)
    wrong.log(0, {"loss": 1.0})
    right = make_run(tmp_path / "run", Config(), "pose")
    assert right.load_checkpoint() is None
    assert (right.read_metrics(), Run.open(right.path, "pose").data) == ([], None)


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (replace(DATA, store={"size": 64}), "store size: 128 -> 64"),
        (replace(DATA, train=("0001", "0004")), "train: 2 -> 2; no longer 0002; new 0004"),
        (replace(DATA, train=("0002", "0001")), "train: 2 -> 2; in another order"),
        (replace(DATA, validation=("0005",)), "validation: 1 -> 1; no longer 0003; new 0005"),
        (replace(DATA, poses="def"), "with other poses"),
    ],
)
def test_other_data_is_refused(run: Run, other: TrainingData, problem: str) -> None:
    before = contents(run.path)
    with pytest.raises(RunError, match="begun with other data") as caught:
        make_run(run.path, Config(), "pose", other)
    assert problem in str(caught.value)
    assert contents(run.path) == before


def test_validation_may_begin_and_end_later(tmp_path: Path) -> None:
    never = replace(DATA, validation=())
    make_run(tmp_path / "run", Config(), "pose", never).save_weights("last", {}, 1)
    for now in (DATA, never):
        make_run(tmp_path / "run", Config(), "pose", now)
        assert read_training_data(tmp_path / "run") == DATA


def test_a_run_without_a_record_goes_on_and_says_that_it_is_not_known(run: Run, caplog) -> None:
    (run.path / "data.json").unlink()
    make_run(run.path, Config(), "pose", DATA)
    assert "does not say what it was trained on so far" in caplog.text
    assert read_training_data(run.path) == replace(DATA, complete=False)


def test_fresh_moves_the_old_run_aside(run: Run) -> None:
    before = contents(run.path)
    with training_run(run.path, Config(steps=3), "image", fresh=True) as fresh:
        assert fresh.load_checkpoint() is None
    assert contents(run.path.with_name("run.old-1")) == before
    with training_run(run.path, Config(steps=4), "image", fresh=True):
        pass
    assert Run.open(run.path.with_name("run.old-2")).config_dict["steps"] == 3
    assert Run.open(run.path).data is None


@pytest.mark.parametrize(("name", "text"), [("thesis.tex", "important"), ("config.json", "{}")])
def test_a_folder_with_other_files_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RunError, match=name):
        make_run(tmp_path, Config(), "pose")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_fresh_moves_no_folder_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "papers.txt").write_text("years of work")
    before = contents(tmp_path)
    fresh = training_run(tmp_path, Config(), "pose", DATA, fresh=True)
    with pytest.raises(RunError, match="holds files but no run"), fresh:
        pass
    assert contents(tmp_path) == before


def test_half_written_files_of_a_killed_process_are_ignored_and_cleared(run: Run) -> None:
    partial = run.path / "checkpoints" / "step-00000002.pt.partial"
    partial.write_bytes(b"half")
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1, "loss": 1.0}\n{"step": 2, "lo')
    again = make_run(run.path, Config(), "pose", DATA)
    state = again.load_checkpoint()
    assert state["step"] == 1
    assert not partial.exists()
    assert again.read_metrics() == [{"step": 1, "loss": 1.0}]
    again.log(2, {"loss": 2.0})
    assert [record["step"] for record in again.read_metrics()] == [1, 2]


def test_other_ranks_write_nothing(tmp_path: Path) -> None:
    with training_run(tmp_path / "run", Config(), "pose", DATA, writes=False) as run:
        run.log(1, {"loss": 1.0})
        run.save_checkpoint(1, {"w": torch.ones(1)})
        run.save_weights("last", {"w": torch.ones(1)}, 1)
    assert not run.path.exists()


def test_first_signal_asks_second_interrupts(run: Run) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with training_run(run.path, Config(), "pose", DATA) as again:
        signal.raise_signal(signal.SIGTERM)
        assert again.stop_requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_disk_without_locks_only_gives_a_warning(run: Run, monkeypatch, caplog) -> None:
    def no_locks(*_: object, **__: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(locks.filelock.FileLock, "acquire", no_locks)
    make_run(run.path, Config(), "pose", DATA)
    assert "do not work in it twice" in caplog.text
