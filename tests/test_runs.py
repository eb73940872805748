"""Run folders: what is written survives, damaged files are passed over, other configs refused."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from made_runs import Config, make_run
from posecast.records import files, runs
from posecast.records.files import WriteError
from posecast.records.runs import Run, RunError


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path / "run", Config(), "pose")


def _state(value: float) -> dict[str, object]:
    return {"model": {"w": torch.full((1000,), value)}, "best": value, "flags": [True, False]}


def test_another_kind_and_a_missing_run_are_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="kind 'pose', expected 'image'"):
        Run.open(run.path, "image")
    with pytest.raises(RunError, match="no run at"):
        Run.open(tmp_path / "nothing")


def test_checkpoints_come_back_equal_and_two_are_kept(run: Run) -> None:
    for step in (1, 2, 3):
        run.save_checkpoint(step, _state(float(step)))
    names = sorted(path.name for path in (run.path / "checkpoints").iterdir())
    assert names == ["step-00000002.pt", "step-00000003.pt"]
    state = run.load_checkpoint()
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
    with pytest.raises(WriteError, match=r"No space left.*start the same command again"):
        run.save_checkpoint(2, _state(2.0))
    monkeypatch.undo()
    state = run.load_checkpoint()
    assert state["step"] == 1
    assert len(list((run.path / "checkpoints").iterdir())) == 1


def test_a_truly_full_disk_is_an_error_a_user_can_read(run: Run) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match=r"space|fail|write"):
        runs._save_tensors(_state(1.0), Path("/dev/full"))


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
