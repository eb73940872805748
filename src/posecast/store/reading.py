"""The prepared store: cropped clips on disk, for reading single frames at random.

    STORE/store.json       StoreInfo, and whether the store is finished
    STORE/clips.jsonl      one line a clip: action, splits, frame rate, image size, crop, box
    STORE/poses.npz        joints and visibility of all clips, one after the other
    STORE/frames/ID.npy    uint8 (t, size, size, 3), RGB; absent for clips without pictures
    STORE/left_out.jsonl   clips that could not be used, and why
    STORE/estimates.npz    optional: estimated poses, laid out as poses.npz
    STORE/masks/ID.npy     optional: uint8 (t, size, size), how much of each pixel the person covers

`writing` writes it. Nothing is kept open between reads, so a store can be copied into worker
processes, and thousands of clips cost no file descriptors.
"""

import dataclasses
import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.errors import PosecastError, check_names
from posecast.geometry import Crop, px_to_crop
from posecast.records.arguments import as_path, check_is, check_settings
from posecast.records.brief import Brief
from posecast.skeletons import SKELETONS, Skeleton
from posecast.store import files

SeenPoses = Literal["labels", "estimated"]
"""Poses that forecasts start from: the data set's, or those that an estimator found."""


@dataclass(frozen=True, eq=False, repr=False)
class StoredClip(Brief):
    """One clip of a store; frames are read with `Store.read_frames`."""

    clip_id: str
    action: str
    """What the person does; "" where nobody said."""
    split: Literal["train", "validation", "test"]
    """Use of the clip: validation is held out of the official training clips."""
    official_split: str
    """The data set's own split: "train" or "test"."""
    fps: float
    image_hw: tuple[int, int]
    """Height and width of the source frames in pixels."""
    crop: Crop
    """The part of the source frames that is stored."""
    box_px: tuple[float, float, float, float]
    """Union of the annotated boxes of the clip: x1, y1, x2, y2 in source pixels."""
    joints_px: Float[np.ndarray, "t j 2"]
    visible: Bool[np.ndarray, "t j"]
    has_frames: bool
    """False where the data set had no pictures of the clip."""
    note: str = ""
    """What had to be mended to use the clip, for people; "" where nothing."""
    trimmed: bool | None = None
    """Whether the clip is cut to one action, as `files.StoreInfo` has it."""

    @property
    def num_frames(self) -> int:
        return len(self.joints_px)

    @property
    def joints_crop(self) -> Float[np.ndarray, "t j 2"]:
        return px_to_crop(self.joints_px, self.crop)

    @property
    def box_side_px(self) -> float:
        """Longer side of `box_px`, the length that pose errors are divided by."""
        x1, y1, x2, y2 = self.box_px
        return max(x2 - x1, y2 - y1)


_LINE_FIELDS = tuple(
    each.name
    for each in dataclasses.fields(StoredClip)
    if each.name not in ("joints_px", "visible", "trimmed")
)


@dataclass(frozen=True)
class ClipSelection:
    """Which clips of a store to use."""

    split: Literal["train", "validation", "test", "all"] = "train"
    """Train, validation (held out of train), test, or all."""
    actions: tuple[str, ...] = ()
    """Only these actions; empty means all."""
    clips: tuple[str, ...] = ()
    """Exactly these clips, whatever their split and action."""
    without: tuple[str, ...] = ()
    """Leave these clips out; ids that the store does not have are passed over."""
    with_frames: bool = False
    """Only clips that have frames."""

    def apply(self, clips: Sequence[StoredClip]) -> list[StoredClip]:
        """The chosen clips in the order of the store, at least one.

        PosecastError names an unknown id or action with the nearest right one, or says why nothing
        is left.
        """
        known = [clip.clip_id for clip in clips]
        check_names(self.clips, known, "clip")
        if not self.clips:  # which are chosen whatever their action
            there = sorted({clip.action for clip in clips})
            all_of_them = "; --clips.actions without a name takes all"
            check_names(self.actions, there, "action", all_of_them)
        self._check_without(known)
        chosen = [clip for clip in clips if self.wants(clip)]
        if not chosen:
            raise PosecastError(self._why_nothing(clips))
        return chosen

    def wants(self, clip: StoredClip) -> bool:
        """Whether this clip is chosen."""
        if clip.clip_id in self.without or (self.with_frames and not clip.has_frames):
            return False
        if self.clips:
            return clip.clip_id in self.clips
        right_action = not self.actions or clip.action in self.actions
        return right_action and self.split in (clip.split, "all")

    def _check_without(self, known: list[str]) -> None:
        """A list made for the whole data set may name absent clips, but 50 for 0050 is a slip."""
        spelled = {name.lstrip("0").lower(): name for name in known}
        for name in self.without:
            right = spelled.get(name.lstrip("0").lower(), name)
            if right != name and name not in known:
                raise PosecastError(
                    f"clips to leave out: no clip {name!r}; did you mean {right!r}?"
                )

    def _why_nothing(self, clips: Sequence[StoredClip]) -> str:
        without_frames = dataclasses.replace(self, with_frames=False)
        if self.with_frames and any(without_frames.wants(clip) for clip in clips):
            return (
                "none of the clips asked for has frames, only poses: prepare the store from "
                "a data set folder that holds their frames"
            )
        if self.clips:
            return "every clip asked for is also left out: check the two lists of clips"
        counts = Counter(clip.split for clip in clips)
        held = ", ".join(f"{counts[split]} {split}" for split in counts) or "no"
        actions = f" of {', '.join(self.actions)}" if self.actions else ""
        hint = "choose another split (--clips.split), or name the clips to use (--clips.clips)"
        if self.split == "train" and set(counts) == {"test"}:
            hint = (
                "all are test clips of the data set's own split. To train on them all the same, "
                "name them with --clips.clips, keep at least one apart for testing, say so beside "
                "every number"
            )
        return f"no {self.split} clip{actions} in the store (it has {held} clips): {hint}"


@dataclass(frozen=True, eq=False, repr=False)
class Store(Brief):
    """A finished store; open it with `Store.open`."""

    path: Path
    info: files.StoreInfo
    clips: tuple[StoredClip, ...]
    """All clips, sorted by id."""

    @classmethod
    def open(cls, path: str | Path) -> "Store":
        """Read the index and all poses; StoreError where the store is unfinished or damaged."""
        path = as_path(path, "store")
        info, finished = files.read_info(path)
        if not finished:
            raise files.StoreError(
                f"store {path} is not finished: run the command that prepares it again, "
                "it goes on where it stopped"
            )
        poses = files.read_poses(path / "poses.npz")
        lines = files.read_lines(path / "clips.jsonl")
        if [line.get("clip_id") for line in lines] != list(poses):
            raise files.damaged(path, "clips.jsonl and poses.npz list different clips")
        clips = []
        for line in lines:
            try:
                clips.append(clip_from_line(line, *poses[line["clip_id"]], info.trimmed))
            except (TypeError, ValueError) as error:
                problem = f"clips.jsonl, clip {line['clip_id']}: {error}"
                raise files.damaged(path, problem) from error
        return cls(path, info, tuple(clips))

    @property
    def skeleton(self) -> Skeleton:
        return SKELETONS[self.info.skeleton]

    @property
    def size(self) -> int:
        """Height and width of the frames in pixels."""
        return self.info.size

    @functools.cached_property
    def _by_id(self) -> dict[str, StoredClip]:
        return {clip.clip_id: clip for clip in self.clips}

    def clip(self, clip_id: str) -> StoredClip:
        """One clip by its id; PosecastError names the nearest id."""
        check_is(clip_id, str, "clip_id", "the name of a clip")
        check_names((clip_id,), list(self._by_id), "clip")
        return self._by_id[clip_id]

    def select(self, selection: ClipSelection) -> list[StoredClip]:
        """The clips that the selection wants, see `ClipSelection.apply`."""
        return check_settings(selection, ClipSelection, "selection").apply(self.clips)

    def left_out(self) -> dict[str, str]:
        """Clips that could not be prepared, and why."""
        lines = files.read_lines(self.path / "left_out.jsonl")
        return {line["clip_id"]: line["problem"] for line in lines}

    def read_frames(
        self, clip: StoredClip, indices: slice | Sequence[int] | np.ndarray = slice(None)
    ) -> UInt8[np.ndarray, "n h w 3"]:
        """Frames of a clip, by a slice or by numbers from 0, reading no other frame.

        IndexError for a frame that the clip does not have, StoreError where the clip has no
        frames or its file is damaged.
        """
        if not check_is(clip, StoredClip, "clip", "what store.clip gives").has_frames:
            raise files.StoreError(
                f"clip {clip.clip_id} has poses but no frames: choose clips with frames only, or "
                "prepare the store from a data set folder that holds its frames"
            )
        numbers = range(clip.num_frames)
        if isinstance(indices, slice):
            wanted = list(numbers[indices])
        else:
            wanted = [numbers[int(index)] for index in indices]
        return files.read_pictures(
            files.frames_path(self.path, clip.clip_id), wanted, len(numbers), self.size
        )

    def has_masks(self, clip: StoredClip) -> bool:
        """Whether masks were put beside the clip's frames."""
        return files.masks_path(self.path, clip.clip_id).is_file()

    def read_masks(
        self, clip: StoredClip, indices: Sequence[int] | np.ndarray
    ) -> UInt8[np.ndarray, "n h w"]:
        """How much of each pixel of these frames the person covers, 255 being all of it.

        StoreError where the store has no masks of the clip, or they do not fit it.
        """
        shape = (clip.num_frames, self.size, self.size)
        masks = files.open_masks(files.masks_path(self.path, clip.clip_id), shape)
        return np.asarray(masks[np.asarray(indices)])

    def with_poses(self, which: SeenPoses) -> "Store":
        """The same store, or one with estimated joints in place of the labels'.

        That holds only the clips that have estimates; StoreError where none were ever written.
        """
        path = self.path / "estimates.npz"
        if which == "labels":
            return self
        if not path.is_file():
            raise files.StoreError(
                f"store {self.path} holds no estimated poses: add them with 'posecast estimate', "
                "or those of the 2017 authors with 'posecast import-poses-2017'"
            )
        estimates = files.read_poses(path)
        check_names(estimates, list(self._by_id), "clip")
        clips = (self._by_id[clip_id] for clip_id in estimates)
        changed = (_with_poses(path, clip, *estimates[clip.clip_id]) for clip in clips)
        return dataclasses.replace(self, clips=tuple(changed))

    def write_estimates(self, estimates: dict[str, files.Poses]) -> None:
        """Put estimated poses beside the labels, in place of any earlier ones."""
        for clip_id, poses in estimates.items():
            _with_poses(self.path / "estimates.npz", self.clip(clip_id), *poses)
        files.write_poses(self.path / "estimates.npz", estimates)


def mean_joints(clips: Sequence[StoredClip]) -> Float[np.ndarray, "j 2"]:
    """Mean place of each joint in its crop, as a share of it, over all frames in which it is
    visible; the middle for a joint that never is."""
    joints = np.concatenate([clip.joints_crop for clip in clips]).astype(float)
    shown = np.concatenate([clip.visible for clip in clips])[..., None]
    total = np.where(shown, joints, 0).sum(axis=0)
    return np.where(shown.any(axis=0), total / np.maximum(shown.sum(axis=0), 1), 0.5)


def clip_to_line(clip: StoredClip) -> dict[str, Any]:
    """What clips.jsonl says of a clip: everything but its poses."""
    line = {name: getattr(clip, name) for name in _LINE_FIELDS}
    if not clip.note:
        del line["note"]
    return line | {"crop": dataclasses.astuple(clip.crop)}


def clip_from_line(
    line: dict[str, Any], joints: np.ndarray, visible: np.ndarray, trimmed: bool | None = None
) -> StoredClip:
    """Inverse of `clip_to_line`; PosecastError where the line is damaged."""
    line = {"note": "", **line}
    if set(line) != set(_LINE_FIELDS):
        raise PosecastError(f"expected the keys {', '.join(_LINE_FIELDS)}, got {', '.join(line)}")
    values: dict[str, Any] = line | {
        "image_hw": tuple(line["image_hw"]),
        "box_px": tuple(line["box_px"]),
        "crop": Crop(*line["crop"]),
    }
    return StoredClip(**values, joints_px=joints, visible=visible, trimmed=trimmed)


def _with_poses(path: Path, clip: StoredClip, joints: np.ndarray, seen: np.ndarray) -> StoredClip:
    if joints.shape != clip.joints_px.shape or seen.shape != clip.visible.shape:
        raise files.StoreError(
            f"{path}: clip {clip.clip_id} has poses of shape {joints.shape}, "
            f"expected {clip.joints_px.shape}"
        )
    return dataclasses.replace(clip, joints_px=joints, visible=seen)
