"""The files of a prepared store: names, formats, and reading them with checks.

`reading` reads a finished store with these, `writing` makes one.
"""

import itertools
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from posecast.errors import PosecastError, check_names
from posecast.records.configs import config_from_dict
from posecast.records.files import save_arrays, write_safely
from posecast.records.versions import check_format_version
from posecast.skeletons import SKELETONS

FORMAT_VERSION = 1
NPY_HEADER_BYTES = 128
"""Length of the header of every frames file: what numpy writes for any shape that occurs."""

CropPolicy = Literal["union", "seen", "tube"]
Poses = tuple[Float[np.ndarray, "t j 2"], Bool[np.ndarray, "t j"]]
"""Joints in source pixels and their visibility."""


class StoreError(PosecastError):
    """A store cannot be used as asked; the message says how to mend it."""


@dataclass(frozen=True)
class StoreInfo:
    """What all clips of a store have in common."""

    dataset: str
    """Name of the data set that the clips come from."""
    skeleton: str
    """Name of the skeleton of the poses."""
    size: int
    """Height and width of the stored frames in pixels."""
    crop: CropPolicy
    """How each clip's crop was chosen, see `preparation`."""
    margin_px: int
    """Source pixels added around boxes (union) or joints (tube)."""
    num_seen: int
    """How many frames the "seen" crop looked at."""
    resize: Literal["linear", "area"]
    """How crops were brought to `size`."""
    validation_share: float
    """Share of each action's training clips that is held out for validation."""
    clips: tuple[str, ...] = ()
    """The clips asked for; empty means all."""
    source: dict[str, Any] = field(default_factory=dict)
    """Options of the data set reader, such as a frame step."""
    format_version: int = FORMAT_VERSION

    @property
    def trimmed(self) -> bool | None:
        """Whether its clips are cut to one action each; None where nobody knows."""
        return {"penn_action": True, "human36m": False}.get(self.dataset)


def frames_path(store_path: Path, clip_id: str) -> Path:
    """File of a clip's frames."""
    return store_path / "frames" / f"{clip_id}.npy"


def masks_path(store_path: Path, clip_id: str) -> Path:
    """File of a clip's masks, where it has some: see `Store.read_masks`."""
    return store_path / "masks" / f"{clip_id}.npy"


def read_info(path: Path) -> tuple[StoreInfo, bool]:
    """What store.json says, and whether the store is finished."""
    if not (path / "store.json").is_file():
        what = "is not a prepared store (it has no store.json)" if path.exists() else "is absent"
        raise StoreError(f"store {path} {what}: make it with 'posecast prepare DATASET RAW {path}'")
    content = _parsed(path / "store.json", json.loads)
    version = content.get("format_version") if isinstance(content, dict) else None
    check_format_version(version, FORMAT_VERSION, f"store {path}")
    finished = content.pop("finished", False)
    try:
        info = config_from_dict(StoreInfo, content)
    except ValueError as error:
        raise damaged(path, f"store.json: {error}") from error
    check_names((info.skeleton,), list(SKELETONS), "skeleton")
    return info, finished is True


def write_poses(path: Path, poses: dict[str, Poses]) -> None:
    """Store poses of several clips in one file, clips sorted; the same input, the same bytes."""
    ids = sorted(poses)
    lengths = [len(poses[clip_id][0]) for clip_id in ids]
    arrays = {
        "clip_ids": np.array(ids, dtype=np.str_),
        "ends": np.cumsum(lengths, dtype=np.int64),
        "joints_px": np.concatenate([poses[clip_id][0] for clip_id in ids]).astype(np.float32),
        "visible": np.concatenate([poses[clip_id][1] for clip_id in ids]),
    }
    write_safely(path, lambda partial: save_arrays(partial, arrays, np.savez))


def read_poses(path: Path) -> dict[str, Poses]:
    """Inverse of `write_poses`: clip id -> joints_px float32 (t, j, 2), visible (t, j)."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            ids, ends = arrays["clip_ids"].tolist(), arrays["ends"].tolist()
            joints, visible = arrays["joints_px"], arrays["visible"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise damaged(path.parent, f"{path.name}: {error}") from error
    if ends[-1:] != [len(joints)] or len(joints) != len(visible) or len(ids) != len(ends):
        raise damaged(path.parent, f"{path.name}: its arrays have different lengths")
    starts = [0, *ends[:-1]]
    spans = zip(ids, starts, ends, strict=True)
    return {clip_id: (joints[start:end], visible[start:end]) for clip_id, start, end in spans}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """A file of one JSON object a line."""
    return _parsed(path, lambda text: [json.loads(line) for line in text.splitlines()])


def _parsed(path: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(path.parent, f"{path.name}: {error}") from error


def read_pictures(path: Path, wanted: list[int], num_frames: int, size: int) -> np.ndarray:
    """Read frames by their place in the file; what follows one another is read at once."""
    frame_bytes = 3 * size * size
    pictures = np.empty((len(wanted), size, size, 3), np.uint8)
    try:
        with path.open("rb", buffering=0) as file:
            length = file.seek(0, 2)
            if length != NPY_HEADER_BYTES + num_frames * frame_bytes:
                raise OSError(f"it has the wrong length ({length})")
            for first, last in _runs(wanted):
                file.seek(NPY_HEADER_BYTES + wanted[first] * frame_bytes)
                flat = np.fromfile(file, np.uint8, (last - first) * frame_bytes)
                pictures[first:last] = flat.reshape(-1, size, size, 3)
    except OSError as error:
        raise damaged(path.parent.parent, f"{path.name}: {error}") from error
    return pictures


def open_masks(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """A clip's masks, of which nothing is read yet."""
    try:
        masks = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(f"{path}: no masks, or damaged ones ({error})") from error
    if masks.shape != shape or masks.dtype != np.uint8:
        raise StoreError(
            f"{path} holds {masks.dtype} {masks.shape}, the clip's masks are uint8 {shape}: "
            "write them anew, or remove the file"
        )
    return masks


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Spans [first, last) of positions whose numbers go up by one."""
    breaks = [k for k in range(1, len(numbers)) if numbers[k] != numbers[k - 1] + 1]
    edges = [0, *breaks, len(numbers)]
    return [(a, b) for a, b in itertools.pairwise(edges) if a < b]


def damaged(path: Path, problem: str) -> StoreError:
    """The error to raise where a file of the store cannot be what was written."""
    return StoreError(f"store {path} is damaged ({problem}): delete it and prepare it again")
