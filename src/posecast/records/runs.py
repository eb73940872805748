"""Run folders: all that a training leaves on disk.

RUN/config.json             format version, kind of run, its complete configuration
RUN/versions.json           code and library versions, one entry per change of them
RUN/data.json               what it learned from, see `training_data`
RUN/metrics.jsonl           one JSON object a record: {"step": 3, "loss": 0.2}
RUN/tensorboard/            the same numbers for TensorBoard
RUN/samples/*.png           pictures drawn during training
RUN/checkpoints/step-*.pt   everything that is needed to go on exactly; the newest two are kept
RUN/weights-last.safetensors, RUN/weights-best.safetensors   the network, for use
RUN/.lock                   held while a process trains

Each file is written under a temporary name, flushed to the disk and renamed, so that neither a
full disk nor a kill costs what was there before.
"""

import contextlib
import json
import logging
import math
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor, nn

from posecast.errors import PosecastError
from posecast.records.configs import config_to_dict
from posecast.records.files import append_line, read_json, read_text, write_lines, write_safely
from posecast.records.training_data import TrainingData, read_training_data
from posecast.records.versions import check_format_version
from posecast.records.weights import facts_of_training, write_weights

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

logger = logging.getLogger(__name__)

WeightsName = Literal["best", "last"]

FORMAT_VERSION = 2
"""Of run folders. 1 (56aa31b) had no number, and pose runs no data.json."""
NUM_KEPT_CHECKPOINTS = 2


class RunError(PosecastError):
    """A run folder cannot be used as asked; the message says how to mend it."""


@dataclass
class Run:
    """One run folder: `training_runs.training_run` to train in it, `Run.open` to use the result."""

    path: Path
    kind: str
    """What was trained, such as "pose"."""
    config_dict: dict[str, Any]
    """The complete configuration, as `configs.config_from_dict` takes it."""
    data: TrainingData | None = None
    """What it learned from; None where that is not known."""
    writes: bool = False
    """Whether this process writes; in a training of several processes only the first one does."""
    stop_requested: bool = False
    """Set by the first SIGINT or SIGTERM while training."""
    _tensorboard: "SummaryWriter | None" = field(default=None, init=False, repr=False)
    _resumed_step: int = field(default=-1, init=False, repr=False)

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
        check_format_version(stored.get("format_version", 1), FORMAT_VERSION, f"run {path}")
        if kind is not None and stored["kind"] != kind:
            raise RunError(f"{path} is a run of kind {stored['kind']!r}, expected {kind!r}")
        return cls(path, stored["kind"], stored["config"], read_training_data(path))

    # Metrics and pictures

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add one record to metrics.jsonl and TensorBoard; numbers that are not finite as text."""
        if not self.writes:
            return
        numbers = {name: float(value) for name, value in metrics.items()}
        written = {name: v if math.isfinite(v) else str(v) for name, v in numbers.items()}
        append_line(self.path / "metrics.jsonl", json.dumps({"step": step, **written}))
        if self._tensorboard is None:
            from torch.utils.tensorboard.writer import SummaryWriter  # slow to import

            folder = str(self.path / "tensorboard")
            self._tensorboard = SummaryWriter(folder, purge_step=self._resumed_step + 1)
        for name, value in numbers.items():
            self._tensorboard.add_scalar(name, value, step)

    def read_metrics(self) -> list[dict[str, Any]]:
        """The records of metrics.jsonl, oldest first; a half-written last one is left out."""
        path = self.path / "metrics.jsonl"
        lines = read_text(path).splitlines() if path.is_file() else []
        records = []
        for line in lines:
            with contextlib.suppress(json.JSONDecodeError):
                records.append(json.loads(line))
        return records

    def save_picture(self, name: str, picture: UInt8[np.ndarray, "h w 3"]) -> None:
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
        for old in checkpoints_in(self.path)[NUM_KEPT_CHECKPOINTS:]:
            old.unlink()

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The newest whole checkpoint (with its "step"), or None; tensors are on the CPU.

        A damaged one is named in a message and passed over. In a run that writes, records and
        checkpoints past the resumed step are dropped, as if training had never gone there.
        RunError where there are checkpoints but not one whole.
        """
        state = None
        damaged = []
        for path in checkpoints_in(self.path):
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
        self._resumed_step = state["step"] if state else -1
        if self.writes:
            for path in damaged:
                path.unlink()
            if (self.path / "metrics.jsonl").is_file():
                records = self.read_metrics()
                kept = [record for record in records if record["step"] <= self._resumed_step]
                write_lines(self.path / "metrics.jsonl", kept)
        return state

    # Weights

    def save_weights(
        self, name: WeightsName, weights: nn.Module | Mapping[str, Tensor], step: int
    ) -> None:
        """Write weights-`name`.safetensors, whose metadata says all that its user needs."""
        if not self.writes:
            return
        data = {} if self.data is None else config_to_dict(self.data)
        facts = facts_of_training(self.kind, self.config_dict, data, step)
        state = weights.state_dict() if isinstance(weights, nn.Module) else weights
        write_weights(self.path / f"weights-{name}.safetensors", state, facts)

    def drop_weights(self) -> None:
        """Remove what `save_weights` wrote."""
        if self.writes:
            for path in self.path.glob("weights-*.safetensors"):
                path.unlink()

    def close(self) -> None:
        """Write out what TensorBoard still holds back."""
        if self._tensorboard is not None:
            self._tensorboard.close()
            self._tensorboard = None


def checkpoints_in(path: Path) -> list[Path]:
    """What a run folder can go on from, the newest first."""
    return sorted(path.glob("checkpoints/step-*.pt"), reverse=True)


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
