"""Two processes start one run or one store: the second is refused and changes nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import posecast
from posecast.cli import main
from posecast.records.locks import locked, locked_with_others
from posecast.records.runs import Run, RunError

HOLDS_RUNS = """
import contextlib, sys
from dataclasses import make_dataclass
from pathlib import Path
from posecast.records.training_runs import training_run
with contextlib.ExitStack() as stack:
    for kind in sys.argv[2:]:
        fresh = sys.argv[1] == "fresh"
        held = training_run(Path(kind), make_dataclass("C", [])(), kind, fresh=fresh)
        run = stack.enter_context(held)
        run.log(1, {"loss": 1.0})
        (run.path / "weights-last.safetensors.partial").write_bytes(b"at work")
    print("held", flush=True)
    sys.stdin.read()
"""
HOLDS_STORE = """
import sys
from pathlib import Path
from posecast.errors import PosecastError
from posecast.records import locks
with getattr(locks, sys.argv[1])(Path("store"), PosecastError("in use")):
    print("held", flush=True)
    sys.stdin.read()
"""
TINY = ("--steps", "1")
COMMANDS = {
    "pose": ("train", "pose", "tiny"),
    "image": ("train", "image", "tiny"),
    "estimator": ("train", "estimator", "tiny"),
    "pose_action": ("train", "pose-action", *TINY),
    "flow_action": ("train", "flow-action", "--model.num-flows", "2", *TINY),
    "conv_lstm": (
        *("train", "conv-lstm", "--model.size", "16", "--num-past", "2", "--num-future", "2"),
        *TINY,
    ),
}


@contextmanager
def other_process(folder: Path, *arguments: str) -> Iterator[subprocess.Popen]:
    """A Python process in the folder, from its first line of output until the block ends."""
    environment = {**os.environ, "PYTHONPATH": str(Path(posecast.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    try:
        assert process.stdout.readline()
        yield process
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path; TensorBoard's writer flushes when it likes."""
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "tensorboard" not in path.parts
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("first", ["plain", "fresh"])
def test_a_second_start_of_any_kind_is_refused_and_changes_nothing(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture, first: str
) -> None:
    with other_process(tmp_path, "-c", HOLDS_RUNS, first, *COMMANDS):
        before = contents(tmp_path)
        assert len(before) >= 5 * len(COMMANDS)
        for kind, command in COMMANDS.items():
            for more in ((), ("--fresh",)):
                words = (*command, "--store", str(release / "store"), *more)
                assert main((*words, "--run", str(tmp_path / kind))) == 2
                assert "another process is training in" in capsys.readouterr().err
        assert contents(tmp_path) == before
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(COMMANDS)


@pytest.mark.skipif(os.name == "nt", reason="a signal cannot be sent to one process there")
def test_a_training_is_not_disturbed_by_a_second_start(
    release: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ("train", "pose", "tiny", "--store", "store", "--run", "live")
    endless = ("--checkpoint-every", "20", "--validate-every", "0", "--steps", "1000000")
    (release / "live.old-1").mkdir()
    with other_process(release, "-u", "-m", "posecast", *words, *endless) as process:
        run = release / "live"
        deadline = time.monotonic() + 60
        while not list(run.glob("checkpoints/*.pt")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for more in ((), ("--fresh",)):
            again = (*words[:4], str(release / "store"), "--run", str(run), *more)
            assert main(again) == 2
            assert "another process is training in" in capsys.readouterr().err
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    steps = [record["step"] for record in Run.open(run).read_metrics()]
    assert steps == list(range(1, len(steps) + 1))  # not one record was lost
    assert sorted(path.name for path in release.glob("live*")) == ["live", "live.old-1"]
    assert not any((release / "live.old-1").iterdir())


def test_the_end_of_a_process_frees_its_run(tmp_path: Path) -> None:
    (tmp_path / "pose").mkdir()
    with other_process(tmp_path, "-c", HOLDS_RUNS, "plain", "pose") as process:
        with pytest.raises(RunError), locked(tmp_path / "pose", RunError("in use")):
            pass
        process.kill()
        process.wait(60)
        with locked(tmp_path / "pose", RunError("in use")):
            pass


def test_shards_share_a_store_that_nobody_else_may_hold(tmp_path: Path) -> None:
    store, refusal = tmp_path / "store", RunError("in use")
    store.mkdir()
    with other_process(tmp_path, "-c", HOLDS_STORE, "locked_with_others") as process:
        with locked_with_others(store, refusal):
            pass
        with pytest.raises(RunError), locked(store, refusal):
            pass
        process.kill()
        process.wait(60)
        with locked(store, refusal):  # the share of a dead process counts no more
            pass
        assert [path.name for path in store.iterdir()] == [".lock"]
    with other_process(tmp_path, "-c", HOLDS_STORE, "locked"):
        for hold in (locked, locked_with_others):
            with pytest.raises(RunError), hold(store, refusal):
                pass
