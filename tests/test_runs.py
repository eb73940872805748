"""Run folders: what is written survives, damaged files are passed over, other configs refused."""

import json
import os
import signal
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from posecast.records import files, runs
from posecast.records.files import FileError
from posecast.records.runs import Run, RunError


@dataclass(frozen=True)
class Adam:
    lr: float = 0.1


@dataclass(frozen=True)
class Config:
    steps: int = 10
    optimizer: Adam = Adam()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.open_or_create(tmp_path / "run", Config(), "pose")


def _state(value: float) -> dict[str, object]:
    return {"model": {"w": torch.full((1000,), value)}, "best": value, "flags": [True, False]}


def test_a_new_run_describes_itself(run: Run) -> None:
    stored = json.loads((run.path / "config.json").read_text())
    assert stored == {"kind": "pose", "config": {"steps": 10, "optimizer": {"lr": 0.1}}}
    versions = json.loads((run.path / "versions.json").read_text())
    assert len(versions) == 1
    assert versions[0]["torch"] == torch.__version__
    assert Run.open(run.path, "pose").config_dict == run.config_dict


def test_another_config_is_refused_and_the_fields_named(run: Run) -> None:
    changed = replace(Config(), steps=20, optimizer=Adam(0.2))
    with pytest.raises(RunError, match="--fresh") as caught:
        Run.open_or_create(run.path, changed, "pose")
    assert "steps: 10 -> 20" in str(caught.value)
    assert "optimizer.lr: 0.1 -> 0.2" in str(caught.value)


def test_fields_that_may_change_are_stored_anew(run: Run) -> None:
    Run.open_or_create(run.path, Config(steps=20), "pose", may_change=("steps",))
    assert Run.open(run.path).config_dict["steps"] == 20


def test_another_kind_and_a_missing_run_are_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="kind 'pose', expected 'image'"):
        Run.open_or_create(run.path, Config(), "image")
    with pytest.raises(RunError, match="no run at"):
        Run.open(tmp_path / "nothing")


def test_other_data_is_refused(run: Run) -> None:
    run.record_data({"store": {"size": 128}, "clips": ["0001", "0002"]})
    run.record_data({"store": {"size": 128}, "clips": ("0001", "0002")})
    with pytest.raises(RunError, match=r"store\.size: 128 -> 64"):
        run.record_data({"store": {"size": 64}, "clips": ["0001", "0002"]})


def test_fresh_moves_the_old_run_aside(run: Run) -> None:
    run.log(1, {"loss": 1.0})
    run.close()
    fresh = Run.open_or_create(run.path, Config(steps=3), "image", fresh=True)
    assert fresh.read_metrics() == []
    assert (run.path.with_name("run.old-1") / "metrics.jsonl").is_file()


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("important")
    with pytest.raises(RunError, match=r"thesis\.tex"):
        Run.open_or_create(tmp_path, Config(), "pose")


def test_checkpoints_come_back_equal_and_two_are_kept(run: Run) -> None:
    for step in (1, 2, 3):
        run.save_checkpoint(step, _state(float(step)))
    names = sorted(path.name for path in (run.path / "checkpoints").iterdir())
    assert names == ["step-00000002.pt", "step-00000003.pt"]
    state = run.load_checkpoint()
    assert state is not None
    assert (state["step"], state["best"], state["flags"]) == (3, 3.0, [True, False])
    assert torch.equal(state["model"]["w"], torch.full((1000,), 3.0))


def test_no_checkpoint_is_none(run: Run) -> None:
    assert run.load_checkpoint() is None


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:500])


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        record = next(item for item in archive.infolist() if item.file_size == 4000)
    content[record.header_offset + 2000] ^= 1
    path.write_bytes(content)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [_cut_short, _flip_a_bit, _empty])
def test_a_damaged_checkpoint_falls_back_with_a_message(run: Run, damage, caplog) -> None:
    run.save_checkpoint(1, _state(1.0))
    run.save_checkpoint(2, _state(2.0))
    run.log(2, {"loss": 2.0})
    damage(run.path / "checkpoints" / "step-00000002.pt")
    state = run.load_checkpoint()
    assert state is not None
    assert state["step"] == 1
    assert "step-00000002.pt is damaged" in caplog.text
    assert run.read_metrics() == []


def test_only_damaged_checkpoints_are_an_error(run: Run) -> None:
    run.save_checkpoint(1, _state(1.0))
    _empty(run.path / "checkpoints" / "step-00000001.pt")
    with pytest.raises(RunError, match="no whole checkpoint"):
        run.load_checkpoint()


def test_a_full_disk_costs_nothing_that_was_there(run: Run, monkeypatch) -> None:
    run.save_checkpoint(1, _state(1.0))

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", no_space)
    with pytest.raises(FileError, match=r"No space left.*start the same command again"):
        run.save_checkpoint(2, _state(2.0))
    monkeypatch.undo()
    state = run.load_checkpoint()
    assert state is not None
    assert state["step"] == 1
    assert len(list((run.path / "checkpoints").iterdir())) == 1


def test_a_truly_full_disk_is_an_error_a_user_can_read(run: Run) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match=r"space|fail|write"):
        runs._save_tensors(_state(1.0), Path("/dev/full"))


def test_half_written_files_of_a_killed_process_are_ignored_and_cleared(run: Run) -> None:
    run.save_checkpoint(1, _state(1.0))
    partial = run.path / "checkpoints" / "step-00000002.pt.partial"
    partial.write_bytes(b"half")
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1, "loss": 1.0}\n{"step": 2, "lo')
    again = Run.open_or_create(run.path, Config(), "pose")
    state = again.load_checkpoint()
    assert state is not None
    assert state["step"] == 1
    assert not partial.exists()
    assert again.read_metrics() == [{"step": 1, "loss": 1.0}]
    again.log(2, {"loss": 2.0})
    assert [record["step"] for record in again.read_metrics()] == [1, 2]


def test_resume_drops_records_past_its_step(run: Run) -> None:
    for step in (1, 2, 3):
        run.log(step, {"loss": float(step)})
        if step == 2:
            run.save_checkpoint(step, _state(2.0))
    run.load_checkpoint()
    assert [record["step"] for record in run.read_metrics()] == [1, 2]


def test_numbers_that_are_not_finite_stay_valid_json(run: Run) -> None:
    run.log(1, {"psnr": float("inf")})
    assert run.read_metrics() == [{"step": 1, "psnr": "inf"}]


def test_tensorboard_gets_the_numbers(run: Run) -> None:
    run.log(1, {"loss": 1.0})
    run.close()
    assert list((run.path / "tensorboard").glob("events.*"))


def test_pictures_are_png(run: Run) -> None:
    picture = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    run.save_picture("step-1", picture)
    with Image.open(run.path / "samples" / "step-1.png") as image:
        assert np.array_equal(np.asarray(image), picture)


def test_other_ranks_write_nothing(tmp_path: Path) -> None:
    run = Run.open_or_create(tmp_path / "run", Config(), "pose", writes=False)
    run.log(1, {"loss": 1.0})
    run.save_checkpoint(1, _state(1.0))
    run.save_weights("last", {"w": torch.ones(1)}, 1)
    run.save_picture("a", np.zeros((2, 2, 3), np.uint8))
    with run.catching_signals():
        pass
    assert not run.path.exists()


def test_first_signal_asks_second_interrupts(run: Run) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with run.catching_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        assert run.stop_requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_two_trainings_in_one_folder_are_refused(run: Run) -> None:
    other = Run.open_or_create(run.path, Config(), "pose")
    refused = pytest.raises(RunError, match="another process is training")
    with run.catching_signals(), refused, other.catching_signals():
        pass
    with other.catching_signals():
        pass


def test_a_disk_without_locks_only_gives_a_warning(run: Run, monkeypatch, caplog) -> None:
    def no_locks(descriptor: int, how: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(runs.fcntl, "flock", no_locks)
    with run.catching_signals():
        pass
    assert "do not train twice" in caplog.text
