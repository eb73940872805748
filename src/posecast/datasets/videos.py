"""A folder of one's own videos, with poses found beforehand.

    ROOT/[train/ or test/][ACTION/]NAME.mp4     videos; other folders above are part of the name
    POSES/[train/ or test/][ACTION/]NAME.csv    their poses: .csv, .json, or a folder of OpenPose's

Poses are numbered by the videos' own frames (see `keypoints`); video and poses are brought to one
frame rate here. A clip begins and ends with the first and the last frame in which the person is
seen.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.clips import ClipError, PoseClip
from posecast.errors import PosecastError
from posecast.keypoints import read_keypoints
from posecast.media.videos import frame_times, nearest_frames, probe_video, read_video
from posecast.skeletons import SKELETONS, Skeleton

SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp")
_SPLITS = ("train", "test")
_BOX_MARGIN = 0.1
"""Boxes reach so far beyond the visible joints, as a share of each side: as Penn Action's do."""


@dataclass(frozen=True)
class OwnVideos:
    """Videos in a folder, a `clips.ClipSource`."""

    root: Path
    """Folder of the videos, which may lie in folders named by their action, and those in "train"
    and "test"."""
    poses: Path
    """Folder of their poses, laid out alike."""
    fps: float = 30.0
    """Frames a second of the clips."""
    skeleton_name: str = "penn_action"
    """Skeleton that the poses are mapped to."""
    person: int = 1
    """Which of several people in a file of poses: 1 is the largest and longest seen."""

    def __post_init__(self) -> None:
        if self.skeleton_name not in SKELETONS:
            known = ", ".join(SKELETONS)
            raise PosecastError(f"unknown skeleton {self.skeleton_name!r}; known: {known}")
        if not self.fps > 0 or self.person < 1:
            raise PosecastError(
                f"expected fps over 0 and person from 1, got {self.fps}, {self.person}"
            )
        if not self._videos():
            raise PosecastError(
                f"{self.root}: no videos in it ({', '.join(SUFFIXES)}); expected "
                "[train/ or test/][ACTION/]NAME.mp4"
            )

    @property
    def name(self) -> str:
        return "videos"

    @property
    def skeleton(self) -> Skeleton:
        return SKELETONS[self.skeleton_name]

    def clip_ids(self) -> list[str]:
        """One for each video: the folders and the name, sorted."""
        return sorted(self._videos())

    def read_poses(self, clip_id: str) -> PoseClip:
        """The poses of one video; ClipError where it or they cannot be used."""
        video = self._video(clip_id)
        joints, visible, frames = self._read(clip_id, video)
        parts = video.relative_to(self.root).parent.parts
        folders = parts[1:] if parts[:1] and parts[0] in _SPLITS else parts
        info = probe_video(video)
        first, last = frames[0], frames[-1]
        cut = f"seconds {first / self.fps:.2f} to {last / self.fps:.2f} of the video"
        seen = visible[first : last + 1]
        return PoseClip(
            clip_id=clip_id,
            action=folders[0] if folders else "",
            split=parts[0] if parts[:1] and parts[0] in _SPLITS else "train",
            fps=self.fps,
            image_hw=(info.height, info.width),
            joints_px=joints[first : last + 1],
            visible=seen,
            boxes_px=_boxes(joints[first : last + 1], seen),
            note=cut if len(seen) < len(visible) else "",
        )

    def read_frames(self, clip_id: str) -> Iterator[UInt8[np.ndarray, "h w 3"]] | None:
        """Frames in which the poses are, streaming."""
        video = self._video(clip_id)
        return self._stream(clip_id, video)

    def _stream(self, clip_id: str, video: Path) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        _, _, frames = self._read(clip_id, video)
        try:
            yield from itertools.islice(read_video(video, self.fps), frames[0], frames[-1] + 1)
        except ValueError as error:
            raise ClipError(clip_id, str(error)) from error

    def _videos(self) -> dict[str, Path]:
        return {_clip_id(self.root, path): path for path in video_files(self.root)}

    def _video(self, clip_id: str) -> Path:
        videos = self._videos()
        if clip_id not in videos:
            raise ClipError(clip_id, f"there is no such video in {self.root}")
        return videos[clip_id]

    def _read(
        self, clip_id: str, video: Path
    ) -> tuple[Float[np.ndarray, "t j 2"], Bool[np.ndarray, "t j"], list[int]]:
        """Poses at `fps` frames a second, and the numbers of the frames that have any."""
        poses = poses_path(self.root, video, self.poses)
        if poses is None:
            stem = video.relative_to(self.root).with_suffix("")
            raise ClipError(
                clip_id, f"no poses {self.poses / stem}.csv, .json or folder; find them first"
            )
        try:
            times, info = _times(video), probe_video(video)
            hw = (info.height, info.width)
            track = read_keypoints(poses, self.skeleton, len(times), hw, person=self.person)
        except ValueError as error:
            raise ClipError(clip_id, str(error)) from error
        ticks = nearest_frames(times, self.fps)
        visible = track.visible[ticks]
        return track.joints_px[ticks], visible, np.flatnonzero(visible.any(axis=1)).tolist()


def video_files(root: Path) -> list[Path]:
    """Videos in a folder and the folders in it, sorted; hidden ones are passed over."""
    if not root.is_dir():
        raise PosecastError(f"{root} is not a folder")
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )


def poses_path(root: Path, video: Path, poses: Path) -> Path | None:
    """The poses of a video in a folder laid out alike; None where there are none."""
    stem = poses / video.relative_to(root).with_suffix("")
    candidates = (stem.with_name(stem.name + ".csv"), stem.with_name(stem.name + ".json"), stem)
    return next((path for path in candidates if path.exists()), None)


def _clip_id(root: Path, video: Path) -> str:
    parts = video.relative_to(root).with_suffix("").parts
    return "-".join(parts)


@lru_cache(maxsize=8)
def _times(video: Path) -> list[float]:
    """Of the video's frames; a clip's poses and its frames both need them."""
    return frame_times(video)


def _boxes(
    joints_px: Float[np.ndarray, "t j 2"], visible: Bool[np.ndarray, "t j"]
) -> Float[np.ndarray, "t 4"]:
    """Around the visible joints; a frame without any takes the box of the frame before."""
    hidden = ~visible[..., None]
    low = np.where(hidden, np.inf, joints_px).min(axis=1)
    high = np.where(hidden, -np.inf, joints_px).max(axis=1)
    margin = _BOX_MARGIN * (high - low)
    boxes = np.concatenate([low - margin, high + margin], axis=1)
    seen = np.asarray(visible.any(axis=1))
    latest = np.maximum.accumulate(np.where(seen, np.arange(len(seen)), 0))
    return boxes[latest]
