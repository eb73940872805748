"""Any data set -> a prepared store: one crop a clip, cut out, resized, and written for reading.

Clips are made in several processes and stream through memory frame by frame. A clip that cannot
be used is reported and left out. Stopped at any moment, the same command goes on where it stopped
and ends with the same bytes.
"""

import dataclasses
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from jaxtyping import UInt8

from posecast.clips import (
    UNLESS_DEFAULT,
    ChangingSource,
    ClipError,
    ClipSource,
    PoseClip,
    problems_of,
)
from posecast.computing.clip_workers import WorkerError, run_over_clips
from posecast.errors import PosecastError, check_names
from posecast.geometry import Crop, Resize, cut_crop, seen_crop, tube_crop, union_crop
from posecast.records.arguments import as_path, check_is, check_settings
from posecast.records.configs import check_at_least, check_below_one
from posecast.records.files import WriteError
from posecast.store.files import CropPolicy, StoreInfo, frames_path
from posecast.store.reading import StoredClip
from posecast.store.writing import LEFT_OUT_FILE, StoreWriter, list_clips, store_writer, write_clip

_FILE_NAME = re.compile(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]*")


class PreparationError(PosecastError):
    """Preparation cannot go on; the message says how to mend it. Finished clips are kept."""


@dataclass(frozen=True)
class PreparationConfig:
    """How a store is made."""

    size: int = 128
    """Height and width of the stored frames in pixels."""
    crop: CropPolicy = "union"
    """What of the frame is kept. "union": the boxes of the whole clip, as the paper; it knows the
    future. "tube": the same by the paper's formula for Human3.6M, whose boxes are the extents of
    the joints. "seen": a wider square around the boxes of the first frames; knows nothing of what
    comes."""
    margin_px: int = 5
    """Source pixels around the boxes ("union": 5 in the paper, "tube": 20)."""
    num_seen: int = 10
    """How many frames the "seen" crop looks at."""
    resize: Resize = "linear"
    """"linear" as in the paper, or "area": smoother where crops are larger than the size."""
    validation_share: float = 0.092
    """Share of each action's training clips that is held out: the last ones by id, rounded."""
    clips: tuple[str, ...] = ()
    """Only these clips; empty means all."""
    workers: int = 0
    """Processes at work; 0 means one per CPU core."""
    shard_index: int = 0
    """Which share of the clips to make, from 0, when several machines make one store."""
    num_shards: int = 1
    """Number of shares. Shares write into the same store; the command without them finishes it."""
    strict: bool = False
    """Count the preparation as failed when a clip had to be left out."""

    def __post_init__(self) -> None:
        check_at_least(8, self, "size", most=4096)
        check_at_least(1, self, "num_seen")
        check_at_least(0, self, "margin_px", "workers")
        check_below_one(self, "validation_share")
        if not 0 <= self.shard_index < self.num_shards:
            raise PosecastError(
                f"shard_index is {self.shard_index}; it must be 0 to {self.num_shards - 1}"
            )


@dataclass(frozen=True)
class PreparationReport:
    """What a preparation did."""

    store_path: Path
    num_new: int
    """Clips made now."""
    num_kept: int
    """Clips that were there already."""
    left_out: dict[str, str]
    """Clips that could not be used, and why."""
    notes: dict[str, str]
    """Clips of the finished store that were mended to be used, and how."""
    finished: bool
    """False after one share of several."""
    seconds: float
    splits: dict[str, int]
    """Number of clips in each split, once finished."""
    num_with_frames: int
    """Number of clips that have frames, once finished."""

    def summary(self) -> str:
        lines = [
            f"{self.store_path}: {self.num_new} clips prepared in {self.seconds:.1f} s"
            + (f", {self.num_kept} were there already" if self.num_kept else "")
        ]
        if self.finished:
            splits = ", ".join(f"{self.splits[name]} {name}" for name in sorted(self.splits))
            total = sum(self.splits.values())
            poses_only = total - self.num_with_frames
            lines.append(f"The store holds {total} clips ({splits}), {poses_only} with poses only.")
        else:
            lines.append("When all shares are done, the same command without a share finishes it.")
        lines += list_clips(self.notes, "mended", f"the notes in {self.store_path / 'clips.jsonl'}")
        left_out = str(self.store_path / LEFT_OUT_FILE)
        where = left_out if self.finished else f"{left_out}, once the store is finished"
        lines += list_clips(self.left_out, "left out", where)
        return "\n".join(lines)


@dataclass(frozen=True)
class ClipPreparer:
    """Makes one clip after the other, in whatever process."""

    source: ClipSource
    store_path: Path
    config: PreparationConfig

    def __call__(self, clip_id: str) -> None:
        """Write one clip into the store; ClipError where it cannot be used."""
        if not _FILE_NAME.fullmatch(clip_id):
            raise ClipError(clip_id, "its name cannot be a file name; rename it")
        poses = self.source.read_poses(clip_id)
        frames = self.source.read_frames(clip_id)
        clip = to_stored_clip(poses, self.config, has_frames=frames is not None)
        pictures = None if frames is None else self._cut(frames, clip)
        write_clip(self.store_path, clip, pictures)

    def _cut(
        self, frames: Iterator[UInt8[np.ndarray, "h w 3"]], clip: StoredClip
    ) -> Iterator[UInt8[np.ndarray, "s s 3"]]:
        for frame in frames:
            if frame.shape[:2] != clip.image_hw:
                raise ClipError(
                    clip.clip_id,
                    f"a frame of {frame.shape[1]} x {frame.shape[0]} pixels, expected "
                    f"{clip.image_hw[1]} x {clip.image_hw[0]}; mend or remove the clip",
                )
            yield cut_crop(frame, clip.crop, self.config.size, self.config.resize)

    def outdated(self, clips: Sequence[StoredClip]) -> set[str]:
        """Those without the frames that there are now, and those that are older than their files.

        Files from the future are no sign: a clock was wrong.
        """
        source, now = self.source, time.time()
        changed = source.changed_at() if clips and isinstance(source, ChangingSource) else {}

        def is_outdated(clip: StoredClip) -> bool:
            if not clip.has_frames:
                return self.has_frames(clip.clip_id)
            frames = frames_path(self.store_path, clip.clip_id)
            made = frames.stat().st_mtime if frames.is_file() else 0.0
            return made < changed.get(clip.clip_id, made) <= now

        return {clip.clip_id for clip in clips if is_outdated(clip)}

    def has_frames(self, clip_id: str) -> bool:
        """Whether making this clip is more than reading its poses."""
        try:
            return self.source.read_frames(clip_id) is not None
        except ClipError:
            return True


def prepare(
    source: ClipSource, store_path: str | Path, config: PreparationConfig | None = None
) -> PreparationReport:
    """Make a store of all clips of a data set, or go on with one that was begun.

    Clips that are there already are kept, except that clips without frames are made again once
    the data set has their frames, and clips of own videos once their files were changed.
    PosecastError (PreparationError, StoreError) where nothing can be made, other options were used
    before, or the disk refuses; finished clips are kept then.
    """
    start = time.monotonic()
    config, store_path = config or PreparationConfig(), as_path(store_path, "store_path")
    check_settings(config, PreparationConfig, "config")
    check_is(source, ClipSource, "source", "a data set such as PennAction(folder)")
    wanted = _wanted_clips(source, config)
    preparer = ClipPreparer(source, store_path, config)
    try:
        with store_writer(store_path, store_info(source, config), config.num_shards > 1) as writer:
            done = writer.done()
            again = preparer.outdated([done[name] for name in wanted if name in done])
            todo = [name for name in wanted if name in again or name not in done]
            left_out = _make(writer, preparer, todo)
            clips = list(done.values()) if writer.finished else []
            if config.num_shards == 1 and not writer.finished:
                clips = writer.finish(left_out)
            return PreparationReport(
                store_path=store_path,
                num_new=len(todo) - len(left_out),
                num_kept=len(wanted) - len(todo),
                left_out=left_out,
                notes={clip.clip_id: clip.note for clip in clips if clip.note},
                finished=writer.finished,
                seconds=time.monotonic() - start,
                splits=dict(Counter(clip.split for clip in clips)),
                num_with_frames=sum(clip.has_frames for clip in clips),
            )
    except (OSError, WorkerError, WriteError) as error:
        raise PreparationError(
            f"preparing {store_path} stopped: {error}. Finished clips are kept: mend the cause and "
            "start the same command again"
        ) from error


def store_info(source: ClipSource, config: PreparationConfig) -> StoreInfo:
    """What the store says of itself; two preparations that differ in it do not mix."""
    return StoreInfo(
        dataset=source.name,
        skeleton=source.skeleton.name,
        size=config.size,
        crop=config.crop,
        margin_px=config.margin_px,
        num_seen=config.num_seen,
        resize=config.resize,
        validation_share=config.validation_share,
        clips=tuple(sorted(set(config.clips))),
        source=_source_options(source),
    )


def to_stored_clip(clip: PoseClip, config: PreparationConfig, has_frames: bool) -> StoredClip:
    """The clip with its crop chosen; its split is the official one until the store is finished.

    ClipError where no crop can be made of its boxes or joints.
    """
    with problems_of(clip.clip_id):
        crop = choose_crop(clip, config)
    low, high = clip.boxes_px[:, :2].min(axis=0), clip.boxes_px[:, 2:].max(axis=0)
    return StoredClip(
        clip_id=clip.clip_id,
        action=clip.action,
        split=cast(Literal["train", "test"], clip.split),
        official_split=clip.split,
        fps=clip.fps,
        image_hw=clip.image_hw,
        crop=crop,
        box_px=tuple(np.concatenate([low, high]).tolist()),
        joints_px=clip.joints_px.astype(np.float32),
        visible=clip.visible,
        has_frames=has_frames,
        note=clip.note,
    )


def choose_crop(clip: PoseClip, config: PreparationConfig) -> Crop:
    """The crop that the policy makes of the clip; PosecastError where it would be empty."""
    if config.crop == "union":
        return union_crop(clip.boxes_px, clip.image_hw, config.margin_px)
    if config.crop == "tube":
        return tube_crop(clip.boxes_px.reshape(-1, 2, 2), clip.image_hw, config.margin_px)
    return seen_crop(clip.boxes_px[: config.num_seen], clip.image_hw)


def _wanted_clips(source: ClipSource, config: PreparationConfig) -> list[str]:
    """All clips asked for, or this process's share of them."""
    known = source.clip_ids()
    if not known:
        raise PreparationError(f"the {source.name} data set holds no clip")
    check_names(config.clips, known, "clip")
    wanted = sorted(set(config.clips)) if config.clips else known
    return wanted[config.shard_index :: config.num_shards]


def _source_options(source: ClipSource) -> dict[str, Any]:
    """Options of the reader, such as a frame step; where the data lie does not matter."""
    if not dataclasses.is_dataclass(source):
        return {}
    told = [(each, getattr(source, each.name)) for each in dataclasses.fields(source)]
    return {
        each.name: value
        for each, value in told
        if (each.metadata != UNLESS_DEFAULT or value != each.default)
        and not isinstance(value, Path)
    }


def _make(writer: StoreWriter, preparer: ClipPreparer, todo: list[str]) -> dict[str, str]:
    """Make the clips; what was left out, and why."""
    if not todo:
        return {}
    if writer.finished:
        if preparer.config.num_shards > 1:
            raise PreparationError(
                f"store {writer.path} is finished; add clips with the command without a share"
            )
        writer.reopen()
    for clip_id in todo:
        writer.drop(clip_id)
    light = [clip_id for clip_id in todo if not preparer.has_frames(clip_id)]
    heavy = sorted(set(todo) - set(light))
    return run_over_clips(preparer, light, heavy, preparer.config.workers)
