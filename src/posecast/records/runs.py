"""Run folders: all that a training leaves on disk.

RUN/config.json             kind of run and its complete configuration
RUN/versions.json           code and library versions, one entry per change of them
RUN/data.json              what it was trained on: store, clips
RUN/metrics.jsonl           one JSON object a record: {"step": 3, "loss": 0.2}
RUN/tensorboard/            the same numbers for TensorBoard
RUN/samples/*.png           pictures drawn during training
RUN/checkpoints/step-*.pt   everything that is needed to go on exactly; the newest two are kept
RUN/weights-last.safetensors, RUN/weights-best.safetensors   the network, for use

Each file is written under a temporary name, flushed to the disk and renamed, so that neither a
full disk nor a kill costs what was there before.
"""

import contextlib
import fcntl
import json
import logging
import math
import os
import pickle
import signal
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor, nn

from posecast.errors import PosecastError
from posecast.records.configs import config_differences, config_to_dict
from posecast.records.files import PARTIAL, read_json, write_json, write_safely, write_text
from posecast.records.versions import code_versions
from posecast.records.weights import facts_of_training, write_weights

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

logger = logging.getLogger(__name__)

WeightsName = Literal["best", "last"]

NUM_KEPT_CHECKPOINTS = 2


class RunError(PosecastError):
    """A run folder cannot be used as asked; the message says how to mend it."""


@dataclass
class Run:
    """One run folder. Open it with `Run.open_or_create` to train, `Run.open` to use the result."""

    path: Path
    kind: str
    """What was trained: "pose", "image" or "estimator"."""
    config_dict: dict[str, Any]
    """The complete configuration, as `configs.config_from_dict` takes it."""
    writes: bool = False
    """Whether this process writes; in a training of several processes only the first one does."""
    stop_requested: bool = False
    """Set by the first SIGINT or SIGTERM inside `catching_signals`."""
    _tensorboard: "SummaryWriter | None" = field(default=None, init=False, repr=False)
    _resumed_step: int = field(default=0, init=False, repr=False)

    @classmethod
    def open(cls, path: Path, kind: str | None = None) -> "Run":
        """A finished or unfinished run, to be read.

        RunError where there is none, or where it is not of the kind asked for.
        """
        path = Path(path)
        if not (path / "config.json").is_file():
            raise RunError(f"no run at {path}: {path / 'config.json'} does not exist")
        stored = read_json(path / "config.json")
        if not isinstance(stored, dict) or not {"kind", "config"} <= stored.keys():
            raise RunError(f"{path / 'config.json'} is not the configuration of a run")
        if kind is not None and stored["kind"] != kind:
            raise RunError(f"{path} is a run of kind {stored['kind']!r}, expected {kind!r}")
        return cls(path, stored["kind"], stored["config"])

    @classmethod
    def open_or_create(
        cls,
        path: Path,
        config: Any,
        kind: str,
        *,
        fresh: bool = False,
        may_change: tuple[str, ...] = (),
        writes: bool = True,
    ) -> "Run":
        """The run in the folder `path`, for training: a new one, or the one to be continued.

        `config` is a dataclass. A run with another configuration is refused, except for the
        fields named in `may_change` (dotted names, such as "steps"), whose new values are stored.
        With `fresh` an older run is first moved aside, to `path` + ".old-1" and so on.
        With `writes` False (processes after the first) nothing on disk is touched.
        """
        run = cls(Path(path), kind, config_to_dict(config), writes)
        if writes and fresh:
            _move_aside(run.path)
        if (run.path / "config.json").is_file():
            run._refuse_another_config(may_change)
        elif run.path.is_dir() and any(run.path.iterdir()) and writes:
            run._refuse_strange_folder()
        if writes:
            run._describe_on_disk()
        return run

    def _refuse_another_config(self, may_change: tuple[str, ...]) -> None:
        stored = Run.open(self.path, self.kind).config_dict
        differences = config_differences(stored, self.config_dict, ignore=may_change)
        if differences:
            listed = "\n".join(f"  {line}" for line in differences)
            raise RunError(
                f"{self.path} holds a run with another configuration (stored -> asked):\n{listed}\n"
                "use another run folder, give the stored values, or start over with --fresh"
            )

    def _refuse_strange_folder(self) -> None:
        names = {entry.name for entry in self.path.iterdir()}
        if not names <= {"config.json" + PARTIAL}:
            raise RunError(
                f"{self.path} holds files but no run ({', '.join(sorted(names)[:5])}); "
                "give a new or empty folder as run folder"
            )

    def _describe_on_disk(self) -> None:
        """Write config and versions (where they changed) and clear half-written files away."""
        for partial in self.path.rglob("*" + PARTIAL):
            partial.unlink()
        write_json(self.path / "config.json", {"kind": self.kind, "config": self.config_dict})
        versions = self.path / "versions.json"
        entries = read_json(versions) if versions.is_file() else []
        if not entries or entries[-1] != code_versions():
            write_json(versions, [*entries, code_versions()])

    def record_data(self, facts: dict[str, Any]) -> None:
        """Keep what the run was trained on in data.json; RunError if it began with other data."""
        path = self.path / "data.json"
        facts = json.loads(json.dumps(facts))
        if path.is_file():
            differences = config_differences(read_json(path), facts)
            if differences:
                listed = "\n".join(f"  {line[:200]}" for line in differences)
                raise RunError(
                    f"{self.path} was begun with other data (then -> now):\n{listed}\n"
                    "give the same store and clips, another run folder, or --fresh"
                )
        elif self.writes:
            write_json(path, facts)

    # Metrics and pictures

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add one record to metrics.jsonl and TensorBoard; numbers that are not finite as text."""
        if not self.writes:
            return
        numbers = {name: float(value) for name, value in metrics.items()}
        record = {"step": step, **{name: _json_number(value) for name, value in numbers.items()}}
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        writer = self._open_tensorboard()
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)

    def _open_tensorboard(self) -> "SummaryWriter":
        if self._tensorboard is None:
            from torch.utils.tensorboard.writer import SummaryWriter  # slow to import

            folder = str(self.path / "tensorboard")
            self._tensorboard = SummaryWriter(folder, purge_step=self._resumed_step + 1)
        return self._tensorboard

    def read_metrics(self) -> list[dict[str, Any]]:
        """The records of metrics.jsonl, oldest first; a half-written last one is left out."""
        path = self.path / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        records = []
        for line in lines:
            with contextlib.suppress(json.JSONDecodeError):
                records.append(json.loads(line))
        return records

    def save_picture(self, name: str, picture: UInt8[np.ndarray, "h w 3"]) -> None:
        """Write samples/`name`.png."""
        if self.writes:
            image = Image.fromarray(picture)
            path = self.path / "samples" / f"{name}.png"
            write_safely(path, lambda partial: image.save(partial, format="PNG"))

    # Checkpoints

    def save_checkpoint(self, step: int, state: Mapping[str, Any]) -> None:
        """Write checkpoints/step-XXXXXXXX.pt: nested dicts of tensors and plain values.

        Do this last in a step, after `log`: what is logged later is dropped by a resume.
        """
        if not self.writes:
            return
        content = {**state, "step": step}
        path = self.path / "checkpoints" / f"step-{step:08d}.pt"
        write_safely(path, lambda partial: _save_tensors(content, partial))
        if self._tensorboard is not None:
            self._tensorboard.flush()
        for old in self._checkpoints()[NUM_KEPT_CHECKPOINTS:]:
            old.unlink()

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The newest whole checkpoint (with its "step"), or None; tensors are on the CPU.

        A damaged one is named in a message and passed over. In a run that writes, records and
        checkpoints past the resumed step are dropped, as if training had never gone there.
        RunError where there are checkpoints but not one whole.
        """
        state = None
        damaged = []
        for path in self._checkpoints():
            try:
                state = _load_tensors(path)
                break
            except (OSError, RuntimeError, EOFError, ValueError, *_DAMAGE) as error:
                logger.warning("checkpoint %s is damaged, trying the one before: %s", path, error)
                damaged.append(path)
        if state is None and damaged:
            raise RunError(
                f"no whole checkpoint in {self.path / 'checkpoints'}; start over with --fresh"
            )
        self._resumed_step = state["step"] if state else 0
        if self.writes:
            for path in damaged:
                path.unlink()
            self._drop_records_after(self._resumed_step)
        return state

    def _checkpoints(self) -> list[Path]:
        """Newest first."""
        return sorted((self.path / "checkpoints").glob("step-*.pt"), reverse=True)

    def _drop_records_after(self, step: int) -> None:
        if (self.path / "metrics.jsonl").is_file():
            kept = [record for record in self.read_metrics() if record["step"] <= step]
            text = "".join(json.dumps(record) + "\n" for record in kept)
            write_text(self.path / "metrics.jsonl", text)

    # Weights

    def save_weights(
        self, name: WeightsName, weights: nn.Module | Mapping[str, Tensor], step: int
    ) -> None:
        """Write weights-`name`.safetensors, whose metadata says all that its user needs."""
        if not self.writes:
            return
        data = self.path / "data.json"
        facts = facts_of_training(
            self.kind, self.config_dict, read_json(data) if data.is_file() else {}, step
        )
        state = weights.state_dict() if isinstance(weights, nn.Module) else weights
        write_weights(self.path / f"weights-{name}.safetensors", state, facts)

    # Signals

    @contextlib.contextmanager
    def catching_signals(self) -> Iterator[None]:
        """The block in which a run is trained: Ctrl-C and SIGTERM ask it to stop.

        The first signal sets `stop_requested` (the loop ends its step, saves and returns), the
        second interrupts at once. RunError where another process trains in the same folder.
        """
        with contextlib.ExitStack() as stack:
            if self.writes:
                stack.callback(os.close, _lock(self.path))
            stack.callback(self.close)
            if threading.current_thread() is threading.main_thread():
                for number in (signal.SIGINT, signal.SIGTERM):
                    previous = signal.signal(number, self._handle_signal)
                    stack.callback(signal.signal, number, previous)
            yield

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:
        if self.stop_requested:
            raise KeyboardInterrupt
        self.stop_requested = True
        name = signal.Signals(number).name
        logger.warning("%s: saving after this step; once more to stop at once", name)

    def close(self) -> None:
        """Write out what TensorBoard still holds back."""
        if self._tensorboard is not None:
            self._tensorboard.close()
            self._tensorboard = None


_DAMAGE = (zipfile.BadZipFile, pickle.UnpicklingError, KeyError)


def _save_tensors(content: dict[str, Any], path: Path) -> None:
    try:
        with path.open("wb") as file:
            torch.save(content, file)
    except RuntimeError as error:  # what torch's archive writer makes of a full disk
        raise OSError(str(error)) from error


def _load_tensors(path: Path) -> dict[str, Any]:
    # torch reads past flipped bits; the archive's own check sums find them.
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
    if broken is not None:
        raise zipfile.BadZipFile(f"{broken} does not match its check sum")
    return torch.load(path, map_location="cpu", weights_only=True)


def _json_number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _move_aside(path: Path) -> None:
    if path.exists():
        number = 1
        while (target := path.with_name(f"{path.name}.old-{number}")).exists():
            number += 1
        path.rename(target)
        logger.warning("the run that was in %s is now in %s", path, target)


def _lock(path: Path) -> int:
    """Hold the folder's lock until the returned descriptor is closed (or the process ends)."""
    descriptor = os.open(path / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise RunError(f"another process is training in {path}; wait for it or stop it") from error
    except OSError as error:  # a network disk without locks: the user has to mind it
        logger.warning("cannot lock %s (%s): do not train twice in it at once", path, error)
    return descriptor
