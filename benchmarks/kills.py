"""Kill -9 at random moments during preparing, training and predicting, again and again.

    python -m benchmarks.kills --kills 60 --report kills.json

Each stage is done once undisturbed. Then it is done again in rounds: started, killed at a random
moment, looked at, started again, killed again, ..., and at last left alone to its end. After each
kill:

    whole     every file under its final name can be read to its end
    kept      finished pieces (clips, checkpoints, forecasts) are still there

After each round the result must equal the undisturbed one: stores and forecasts byte by byte
(movies by their number of frames), weights to the last bit, the metrics of every step once and the
same.

Stages run in forked children, so that the kills hit the work and not the imports. Every other kill
hits the main process alone, whose workers then have to end by themselves; the others hit the whole
group at once.
"""

import argparse
import contextlib
import functools
import hashlib
import json
import os
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import av
import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError

from posecast.computing.devices import ForecasterOptions
from posecast.datasets.drawn.clips import SyntheticConfig
from posecast.datasets.drawn.people import write_penn_layout
from posecast.datasets.penn_action import PennAction
from posecast.forecasting.prediction import PredictionConfig, predict_store
from posecast.presets import IMAGE, POSE
from posecast.records.files import PARTIAL, write_json
from posecast.store.preparation import PreparationConfig, prepare
from posecast.store.reading import ClipSelection
from posecast.training.image import train_image
from posecast.training.pose import train_pose

KILLS_A_ROUND = 5
SIZE = 16


@dataclass(frozen=True)
class Stage:
    """Something that can be killed."""

    name: str
    start: Callable[[Path], object]
    """Does it into a folder, or goes on there."""
    pieces: Callable[[Path], set[str]]
    """What is finished in the folder."""
    result: Callable[[Path], dict[str, str]]
    """File or other part of the result -> what must be the same."""


@dataclass
class Record:
    """What happened to a stage."""

    stage: str
    undisturbed_s: float
    kills: int = 0
    kills_at_work: int = 0
    """Kills after which the folder was another one than before the start."""
    rounds: int = 0
    unfinished_files: int = 0
    """Files left behind under a temporary name."""
    problems: list[str] = field(default_factory=list)


def main() -> None:
    """Kill, and write what came of it."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    flags.add_argument("--kills", type=int, default=60)
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--report", type=Path, default=None)
    asked = flags.parse_args()
    torch.set_num_threads(1)
    rng = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        records = list(_kill_all(Path(folder), asked.kills, rng))
    for record in records:
        print(
            f"{record.stage}: {record.kills} kills, {record.kills_at_work} of them at work, "
            f"{record.rounds} rounds, {record.unfinished_files} files left unfinished, "
            f"{len(record.problems)} problems"
        )
        print(*(f"  {problem}" for problem in record.problems), sep="\n", end="")
    if asked.report:
        write_json(asked.report, {"seed": asked.seed, "stages": [vars(each) for each in records]})
    raise SystemExit(1 if any(record.problems for record in records) else 0)


def _kill_all(folder: Path, kills: int, rng: random.Random) -> Iterator[Record]:
    stages = _stages(folder)
    for number, stage in enumerate(stages):
        share = kills // len(stages) + (number < kills % len(stages))
        yield _kill_stage(stage, folder / "work" / stage.name, share, rng)


def _kill_stage(stage: Stage, folder: Path, kills: int, rng: random.Random) -> Record:
    folder.mkdir(parents=True)
    whole = folder / "undisturbed"
    begin = time.monotonic()
    assert _run(stage, whole, None, True) == 0, whole.with_suffix(".log").read_text()
    record = Record(stage.name, round(time.monotonic() - begin, 2))
    expected = stage.result(whole)
    while record.kills < kills:
        record.rounds += 1
        path = folder / f"round-{record.rounds}"
        for _ in range(min(KILLS_A_ROUND, kills - record.kills)):
            _kill_once(stage, path, record, rng)
        if _run(stage, path, None, True) != 0:
            record.problems.append(f"round {record.rounds}: does not go on after the kills")
            continue
        record.problems += _differences(expected, stage.result(path), record.rounds)
        shutil.rmtree(path)
    return record


def _kill_once(stage: Stage, path: Path, record: Record, rng: random.Random) -> None:
    before, pieces = _state(path), stage.pieces(path)
    after_s = rng.uniform(0.0, record.undisturbed_s)
    _run(stage, path, after_s, alone=rng.random() < 0.5)
    record.kills += 1
    record.kills_at_work += _state(path) != before
    lost = pieces - stage.pieces(path)
    if lost:
        record.problems.append(f"kill {record.kills}: lost {sorted(lost)[:5]}")
    for file in _files(path):
        if file.name.endswith(PARTIAL) or ".part" in str(file.relative_to(path)):
            record.unfinished_files += 1
        elif (problem := _unreadable(file)) is not None:
            record.problems.append(f"kill {record.kills}: {file.relative_to(path)}: {problem}")


def _run(stage: Stage, path: Path, kill_after_s: float | None, alone: bool) -> int:
    """Do the stage in a child; its exit status, -9 if it was killed before its end."""
    child = os.fork()
    if child == 0:
        os.setsid()
        log = os.open(path.with_suffix(".log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        try:
            stage.start(path)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    deadline = None if kill_after_s is None else time.monotonic() + kill_after_s
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if deadline is not None and time.monotonic() >= deadline:
            (os.kill if alone else os.killpg)(child, signal.SIGKILL)
            os.waitpid(child, 0)
            _wait_for_workers(child)
            return -signal.SIGKILL
        time.sleep(0.002)


def _wait_for_workers(group: int) -> None:
    """Orphans have to end by themselves, once they have loaded their libraries."""
    for _ in range(6000):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise RuntimeError(f"processes of group {group} live on after their parent was killed")


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file() and file.name != ".lock")


def _state(path: Path) -> list[tuple[str, int, int]]:
    return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in _files(path)]


def _unreadable(file: Path) -> str | None:
    """Why a file is not whole, by its format's own checks."""
    try:
        if file.suffix == ".json":
            json.loads(file.read_text())
        elif file.suffix == ".jsonl" and file.name != "metrics.jsonl":  # a log may end in mid-line
            [json.loads(line) for line in file.read_text().splitlines()]
        elif file.suffix == ".npy":
            np.load(file)
        elif file.suffix == ".npz":
            with np.load(file) as arrays:
                [arrays[name] for name in arrays.files]
        elif file.suffix == ".safetensors":
            safetensors.torch.load_file(file)
        elif file.suffix == ".pt":
            torch.load(file, weights_only=True)
        elif file.suffix == ".mp4":
            _count_frames(file)
    except (ValueError, OSError, RuntimeError, EOFError, SafetensorError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _differences(expected: dict[str, str], got: dict[str, str], number: int) -> list[str]:
    names = [name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name)]
    return [f"round {number}: {name} is not the undisturbed one" for name in sorted(names)]


# --- the stages -----------------------------------------------------------------------------------


def _stages(folder: Path) -> list[Stage]:
    """Prepared, trained and forecast from a few drawn clips."""
    raw, store = folder / "raw", folder / "store"
    write_penn_layout(SyntheticConfig(num_clips=16), raw, workers=1)
    config = PreparationConfig(size=SIZE)
    # Alone: forked children could not use helpers of worker processes started here.
    _prepare(raw, replace(config, workers=1), store)
    pose = POSE["tiny"].but(steps=400, checkpoint_every=25, validate_every=50, log_every=1)
    image = IMAGE["tiny"].but(steps=120, checkpoint_every=10, validate_every=20, log_every=1)
    image = image.but(sample_every=20)
    train_pose(pose.but(steps=2), store, folder / "pose")
    train_image(image.but(steps=2), store, folder / "image")
    clips = ClipSelection(split="all", with_frames=True)
    on_cpu = ForecasterOptions(device="cpu")
    forecast = PredictionConfig(clips=clips, steps=12, view_scale=1, run_on=on_cpu)
    runs = (folder / "pose", folder / "image")
    return [
        *(
            Stage(
                f"prepare, {workers} at work",
                functools.partial(_prepare, raw, replace(config, workers=workers)),
                lambda path: {file.name for file in path.glob("frames/*.npy")},
                _bytes_of_files,
            )
            for workers in (1, 2)
        ),
        Stage("train pose", lambda path: train_pose(pose, store, path), _newest, _training),
        Stage("train image", lambda path: train_image(image, store, path), _newest, _training),
        Stage(
            "predict",
            lambda path: predict_store(forecast, store, *runs, path),
            lambda path: {folder.name for folder in path.glob("clips/[!.]*")},
            _bytes_of_files,
        ),
    ]


def _prepare(raw: Path, config: PreparationConfig, store: Path) -> None:
    prepare(PennAction(raw), store, config)


def _bytes_of_files(path: Path) -> dict[str, str]:
    return {str(file.relative_to(path)): _content(file) for file in _files(path)}


def _content(file: Path) -> str:
    """What must be the same; of a movie only its length, encoders round in more than one way."""
    return str(_count_frames(file)) if file.suffix == ".mp4" else _sha256(file.read_bytes())


def _count_frames(file: Path) -> int:
    with av.open(str(file)) as movie:
        return sum(1 for _ in movie.decode(video=0))


def _newest(path: Path) -> set[str]:
    """Every step up to the newest checkpoint."""
    steps = [int(file.stem.split("-")[1]) for file in path.glob("checkpoints/step-*.pt")]
    return {f"{step:08d}" for step in range(max(steps, default=0))}


def _training(path: Path) -> dict[str, str]:
    result = {"metrics": _sha256((path / "metrics.jsonl").read_bytes())}
    for file in sorted(path.glob("*.safetensors")):
        for name, tensor in safetensors.torch.load_file(file).items():
            result[f"{file.name} {name}"] = _sha256(tensor.numpy().tobytes())
    with contextlib.suppress(StopIteration):
        newest = next(iter(sorted(path.glob("checkpoints/step-*.pt"), reverse=True)))
        result["newest checkpoint"] = newest.name
    return result


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
