"""Beginning a run folder and going on with one: who may, and what must fit what is there."""

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from posecast.records import configs
from posecast.records.files import PARTIAL, entries, read_json, write_json
from posecast.records.locks import LOCK_FILE, held_for
from posecast.records.runs import FORMAT_VERSION, Run, RunError, checkpoints_in
from posecast.records.training_data import DATA_FILE, TrainingData
from posecast.records.versions import with_current

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def training_run(
    path: str | Path,
    config: Any,
    kind: str,
    data: TrainingData | None = None,
    *,
    fresh: bool = False,
    may_change: tuple[str, ...] = (),
    writes: bool = True,
) -> Iterator[Run]:
    """The run in the folder `path`, to train in it: a new one, or the one to be continued.

    No other process trains in the folder meanwhile; nothing in it is touched before that is sure.
    In the block, Ctrl-C and SIGTERM ask for a stop: the first sets `stop_requested` (the loop ends
    its step, saves and returns), the second interrupts at once.

    Args:
        path: Folder, made if need be.
        config: A dataclass, all settings of the training.
        kind: What is trained, such as "pose".
        data: What it learns from; None where nobody knows, as for weights from elsewhere.
        fresh: Move the run that is in the folder aside first, to `path` + ".old-1" and so on.
        may_change: Dotted names of settings, such as "fit.steps", that may differ from the stored
            ones, and are then stored anew. All others may only while nothing has been learned.
        writes: False in processes after the first: nothing on disk is touched.

    Raises:
        RunError: another process trains in the folder, it holds something else, or a run of other
            settings, another kind or other data.
    """
    run = Run(Path(path), kind, configs.config_to_dict(config), data, writes)
    with contextlib.ExitStack() as stack:
        if writes:
            file = run.path / "config.json"
            if file.is_file() and not fresh:
                Run.open(run.path)
            stack.enter_context(held_for(file, "run", "training in", RunError))
            if fresh:
                _move_aside(run.path)
            _begin_or_go_on(run, config, may_change)
        stack.callback(run.close)
        stack.enter_context(_catching_signals(run))
        yield run


@contextlib.contextmanager
def _catching_signals(run: Run) -> Iterator[None]:
    def handle(number: int, frame: FrameType | None) -> None:
        if run.stop_requested:
            raise KeyboardInterrupt
        run.stop_requested = True
        name = signal.Signals(number).name
        logger.warning("%s: saving after this step; once more to stop at once", name)

    with contextlib.ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                stack.callback(signal.signal, number, signal.signal(number, handle))
        yield


def _move_aside(path: Path) -> None:
    """Everything but the lock, which is held; config.json first, so that no half run is left."""
    path = path.resolve()
    moved = [entry for entry in entries(path) if entry.name != LOCK_FILE]
    if not moved:
        return
    number = 1
    while (target := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    target.mkdir()
    for entry in sorted(moved, key=lambda entry: entry.name != "config.json"):
        entry.rename(target / entry.name)
    logger.warning("what was in %s is now in %s", path, target)


def _begin_or_go_on(run: Run, config: Any, may_change: tuple[str, ...]) -> None:
    """With the lock held: refuse what does not fit what is there, then describe the run anew."""
    if checkpoints_in(run.path) or has_weights(run.path):  # something was learned, by whomever
        stored = Run.open(run.path, run.kind)
        _refuse_another_config(stored, config, may_change)
        run.data = _data_so_far(stored, run.data)
    for partial in run.path.rglob("*" + PARTIAL):
        partial.unlink()
    head = {"format_version": FORMAT_VERSION, "kind": run.kind}
    write_json(run.path / "config.json", {**head, "config": run.config_dict})
    if run.data is None:
        (run.path / DATA_FILE).unlink(missing_ok=True)  # of a start that learned nothing
    else:
        write_json(run.path / DATA_FILE, configs.config_to_dict(run.data))
    versions = run.path / "versions.json"
    write_json(versions, with_current(read_json(versions) if versions.is_file() else []))


def has_weights(path: Path) -> bool:
    """Whether a run folder holds a network for use."""
    return any(path.glob("weights-*.safetensors"))


def _refuse_another_config(stored: Run, config: Any, may_change: tuple[str, ...]) -> None:
    """Of each place that is not where it was, for it was moved meanwhile, the name is compared."""
    try:
        before = configs.config_from_dict(type(config), stored.config_dict)
    except configs.ConfigError as error:
        raise RunError(
            f"{stored.path} cannot be trained on by this posecast ({error}); use the one that "
            "made it (its versions.json says which), another folder, or --fresh"
        ) from error
    mend = "use another run folder, give the stored values, or start over with --fresh"
    places: list[Path] = []
    then = configs.config_to_dict(before, lambda path: places.append(path) or str(path))
    places_then = iter(places)

    def place(path: Path) -> str:
        was = next(places_then, path)
        if was == path or was.name != path.name or was.exists():
            return str(path)
        logger.warning("%s is gone; %s, of the same name, is taken for it", was, path)
        return str(was)

    now = configs.config_to_dict(config, place)
    configs.refuse_differences(stored.path, then, now, "a run", may_change, RunError, mend)


def _data_so_far(stored: Run, now: TrainingData | None) -> TrainingData | None:
    """The record of a run that goes on with `now`; RunError where it began with other data."""
    if now is None:
        return stored.data
    if stored.data is None:
        logger.warning(
            "%s does not say what it was trained on so far; whether that was this store and these "
            "clips is not known, and evaluations will say so",
            stored.path,
        )
        return replace(now, complete=False)
    differences = stored.data.differences(now)
    if differences:
        listed = "\n".join(f"  {line[:200]}" for line in differences)
        raise RunError(
            f"{stored.path} was begun with other data (then -> now):\n{listed}\n"
            "give the same store and clips, another run folder, or --fresh"
        )
    return stored.data.going_on_with(now)
