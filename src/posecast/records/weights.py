"""Weight files: a network's tensors in one .safetensors file whose metadata says all of it.

Each field of `WeightsFacts` is one entry of the metadata, text as it is and all else as JSON,
besides `format_version`. Files without a version, as the first release wrote them, hold the whole
configuration of their training instead; what it and the data.json beside it do not say takes the
defaults of the fields.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from posecast.errors import PosecastError
from posecast.records.configs import config_from_dict, config_to_dict
from posecast.records.files import filled_with, read_json, write_safely
from posecast.records.versions import FormatVersionError, check_format_version

FORMAT_VERSION = 1


class WeightsError(PosecastError):
    """A weight file cannot be used as asked; the message says how to mend it."""


@dataclass(frozen=True)
class WeightsFacts:
    """What whoever uses a network must know of it and of its training."""

    kind: str
    """Which network it is, a key of `networks.kinds.KINDS`."""
    config: dict[str, Any]
    """The network's configuration, as `configs.config_from_dict` takes it."""
    skeleton: str = ""
    """Skeleton of the poses that it reads or finds; "" for a network that knows no poses."""
    num_past: int = 10
    """Seen frames that a forecaster was trained with."""
    stride: int = 1
    """From one of its frames to the next, in frames of the clips that it was trained on."""
    fps: float | None = None
    """Frames a second of those clips (their median); None: not recorded."""
    sigma_px: float = 8.0
    """Width of the heat maps' blobs that an image model reads, in source pixels."""
    crop_side_px: float | None = None
    """Longer side of the crops that it was trained on, in source pixels (their median); None: not
    recorded."""
    actions: tuple[str, ...] = ()
    """What a classifier names, in the order of its outputs."""
    trained_on: dict[str, Any] = field(default_factory=dict)
    """Store and clips, as the run's data.json has them."""
    seed: int | None = None
    step: int = 0
    """Training step that the weights are of."""


def facts_of_training(
    kind: str, config: Mapping[str, Any], data: Mapping[str, Any], step: int
) -> WeightsFacts:
    """Facts from what a run folder holds: its configuration and its data.json ({}: none)."""
    windows, fit = config.get("windows", {}), config.get("fit", {})
    return WeightsFacts(
        kind=kind,
        config=config.get("generator", config.get("model", {})),
        skeleton=config.get("skeleton", config.get("model", {}).get("skeleton", "")),
        num_past=windows.get("num_past", config.get("num_past", 10)),
        stride=windows.get("stride", 1),
        fps=data.get("fps"),
        sigma_px=config.get("sigma_px", 8.0),
        crop_side_px=data.get("crop_side_px"),
        actions=tuple(data.get("actions", ())),
        trained_on=dict(data),
        seed=config.get("seed", fit.get("seed")),
        step=step,
    )


def write_weights(path: Path, tensors: Mapping[str, Tensor], facts: WeightsFacts) -> None:
    """Replace a weight file as a whole; WriteError where the disk refuses."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    entries = {"format_version": FORMAT_VERSION, **config_to_dict(facts)}
    metadata = {n: v if isinstance(v, str) else json.dumps(v) for n, v in entries.items()}
    # The library's own files are the owner's alone to read.
    content = safetensors.torch.save(whole, metadata)
    write_safely(path, filled_with(content))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a weight file, on the CPU; WeightsError for a damaged or missing one."""
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise _unreadable(path, error) from error


def read_facts(path: Path) -> WeightsFacts:
    """What the metadata of a weight file says; the tensors are not read.

    WeightsError: missing, damaged, of a newer posecast, or not written by posecast at all.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise _unreadable(path, error) from error
    try:
        if "format_version" not in metadata:
            return _facts_of_first_release(path, metadata)
        version = json.loads(metadata.pop("format_version"))
        check_format_version(version, FORMAT_VERSION, str(path))
        texts = ("kind", "skeleton")
        values = {
            name: text if name in texts else json.loads(text) for name, text in metadata.items()
        }
        return config_from_dict(WeightsFacts, values)
    except FormatVersionError as error:
        raise WeightsError(str(error)) from error
    except (ValueError, KeyError, AttributeError) as error:
        if isinstance(error, WeightsError):
            raise
        raise _unreadable(path, error) from error


def _facts_of_first_release(path: Path, metadata: Mapping[str, str]) -> WeightsFacts:
    """From the whole configuration in the metadata, or else in config.json beside the file."""
    config, data = path.with_name("config.json"), path.with_name("data.json")
    if "kind" in metadata:
        run = {"kind": metadata["kind"], "config": json.loads(metadata["config"])}
    elif config.is_file():
        run = read_json(config)
    else:
        raise WeightsError(
            f"{path} does not say what it holds: it was not written by posecast. Give a run folder "
            "or a weight file of posecast; 'posecast import-2017' reads weights of the 2017 code"
        )
    facts = read_json(data) if data.is_file() else {}
    return facts_of_training(run["kind"], run["config"], facts, int(metadata.get("step", 0)))


def _unreadable(path: Path, problem: Exception) -> WeightsError:
    return WeightsError(
        f"cannot read the weights {path}: {problem}; fetch the file again, or train on to write it "
        "anew"
    )
