"""A folder of one's own videos, with poses found beforehand.

    ROOT/[train/ or test/][ACTION/]NAME.mp4     videos; other folders above are part of the name
    POSES/[train/ or test/][ACTION/]NAME.csv    their poses: .csv, .json, or a folder of OpenPose's
                                                or YOLO's (NAME.mp4.csv first, beside NAME.mov)

Poses are numbered by the videos' own frames (see `keypoints`); video and poses are brought to one
frame rate here: of frames the nearest one is shown, poses are interpolated, so that those of a
video of 25 frames a second move on in each of 30. A clip begins and ends with the first and the
last frame in which the person is seen, of a video with cuts in the shot that shows it longest.
"""

import contextlib
import itertools
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from posecast.clips import UNLESS_DEFAULT, PoseClip, problems_of
from posecast.datasets.video_files import clip_names, poses_path, video_files
from posecast.errors import PosecastError, check_names
from posecast.keypoints import KeypointOptions, KeypointTrack, people_in_video
from posecast.media.frame_folders import VIDEO_SUFFIXES
from posecast.media.resampling import MOST_FPS, nearest_frames
from posecast.media.shots import Shots
from posecast.media.videos import Timeline, read_timeline, read_video
from posecast.records.arguments import check_setting
from posecast.records.configs import check_at_least, check_over_zero
from posecast.records.files import entries
from posecast.skeletons import SKELETONS, Skeleton

_SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
"""What the folders of the splits may be called, in small or capital letters."""
_VALIDATION = ("val", "valid", "validation")
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
    first_frame: int = field(default=-1, metadata=UNLESS_DEFAULT)
    """What the files of poses call the first frame; -1: 0, or what fits the video."""

    def __post_init__(self) -> None:
        for name in ("root", "poses"):
            check_setting(self, name, name)
        check_names((self.skeleton_name,), list(SKELETONS), "skeleton")
        check_over_zero(self, "fps", most=MOST_FPS)
        check_at_least(1, self, "person")
        videos = video_files(self.root)
        if not videos:
            raise PosecastError(
                f"{self.root}: no videos in it ({', '.join(VIDEO_SUFFIXES)}); expected "
                "[train/ or test/][ACTION/]NAME.mp4"
            )
        tops = {video.relative_to(self.root).parts[0].lower() for video in videos}
        if tops & _SPLITS.keys() and tops.intersection(_VALIDATION):
            raise PosecastError(
                f"{self.root}: validation clips are held out of those to train on "
                "(--validation-share): move yours to the folder train or test"
            )

    @property
    def name(self) -> str:
        return "videos"

    @property
    def skeleton(self) -> Skeleton:
        return SKELETONS[self.skeleton_name]

    def clip_ids(self) -> list[str]:
        """One for each video: the folders and the name, sorted; the suffix too, where two differ
        in nothing else."""
        return sorted(self._videos())

    def read_poses(self, clip_id: str) -> PoseClip:
        """The poses of one video; ClipError where it or they cannot be used."""
        with problems_of(clip_id):
            video = self._video(clip_id)
            track, timeline, shots, ticks = self._read(video)
        split, folders = _split(video.relative_to(self.root).parent.parts)
        span = _span(track.visible[ticks], shots[ticks])
        kept = ticks[span]
        cut = (
            f"seconds {span.start / self.fps:.2f} to {(span.stop - 1) / self.fps:.2f} of the video"
        )
        cut += f", the longest of {len(set(shots))} shots" * bool(shots.any())
        notes = (track.note, cut if len(kept) < len(ticks) else "")
        found = track.visible & ~track.filled[:, None]
        return PoseClip(
            clip_id=clip_id,
            action=folders[0] if folders else "",
            split=split,
            fps=self.fps,
            image_hw=(timeline.info.height, timeline.info.width),
            joints_px=_at_ticks(track, timeline.seconds, shots, ticks, self.fps)[span],
            visible=track.visible[kept],
            # A filled pose knows the one after it, as interpolated ones do: boxes are those of
            # the frames shown, and a filled one does not shape the crop.
            boxes_px=_boxes(track.joints_px[kept], found[kept]),
            note="; ".join(note for note in notes if note),
        )

    def read_frames(self, clip_id: str) -> Iterator[UInt8[np.ndarray, "h w 3"]] | None:
        """Frames in which the poses are, streaming."""
        with problems_of(clip_id):
            return self._stream(clip_id, self._video(clip_id))

    def _stream(self, clip_id: str, video: Path) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        with problems_of(clip_id):
            track, _, shots, ticks = self._read(video)
            span = _span(track.visible[ticks], shots[ticks])
            frames = read_video(video, self.fps, first=span.start)
            yield from itertools.islice(frames, span.stop - span.start)

    def changed_at(self) -> dict[str, float]:
        """When the video of each clip or its poses were changed last; nothing of those that cannot
        be looked at."""
        times = {}
        for clip_id, video in self._videos().items():
            with contextlib.suppress(OSError, PosecastError):
                poses = poses_path(self.root, video, self.poses)
                files = [video, *([] if poses is None else [poses, *entries(poses)])]
                times[clip_id] = max(file.stat().st_mtime for file in files)
        return times

    def _videos(self) -> dict[str, Path]:
        return clip_names(self.root, video_files(self.root))

    def _video(self, clip_id: str) -> Path:
        videos = self._videos()
        if clip_id not in videos:
            raise PosecastError(f"there is no such video in {self.root}")
        return videos[clip_id]

    def _read(
        self, video: Path
    ) -> tuple[KeypointTrack, Timeline, Int[np.ndarray, " t"], Int[np.ndarray, " k"]]:
        """Poses of the video's own frames, the first frame of each one's shot, and which frames are
        shown at `fps` a second."""
        poses = poses_path(self.root, video, self.poses)
        if poses is None:
            stem = video.relative_to(self.root).parent / video.stem
            raise PosecastError(
                f"no poses {self.poses / stem}.csv, .json or folder; find them first"
            )
        options = KeypointOptions(first_frame=self.first_frame)
        timeline, watched = _looked_through(video)
        track = people_in_video(poses, timeline, self.skeleton, options)(self.person)
        ticks = np.array(nearest_frames(timeline.seconds, self.fps))
        if not track.visible[ticks].any():
            raise PosecastError(f"{poses}: nobody is seen in it at {self.fps:g} frames a second")
        found = track.visible & ~track.filled[:, None]
        shots = watched.starts(track.joints_px, found, timeline.info.fps)
        return track, timeline, np.array(shots), ticks


def _looked_through(video: Path) -> tuple[Timeline, Shots]:
    """All of a video's frames; a clip's poses and its frames both need it."""
    facts = video.stat()
    return _looked_through_once(video, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=8)
def _looked_through_once(video: Path, *_as_it_is: int) -> tuple[Timeline, Shots]:
    timeline, shots = read_timeline(video), Shots()
    deque(shots.watch(read_video(video)), maxlen=0)
    return timeline, shots


def _split(folders: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The split that the first folder names, else "train", and the folders that name the action."""
    named = _SPLITS.get(folders[0].lower()) if folders else None
    return named or "train", folders[1:] if named else folders


def _span(visible: Bool[np.ndarray, "t j"], shots: Int[np.ndarray, " t"]) -> slice:
    """From the first to the last frame with a joint, of the shot that has most of them."""
    seen = visible.any(axis=1)
    longest = Counter(shots[seen].tolist()).most_common(1)[0][0]
    frames = np.flatnonzero(seen & (shots == longest))
    return slice(int(frames[0]), int(frames[-1]) + 1)


def _at_ticks(
    track: KeypointTrack,
    seconds: Sequence[float],
    shots: Int[np.ndarray, " t"],
    ticks: Int[np.ndarray, " k"],
    fps: float,
) -> Float[np.ndarray, "k j 2"]:
    """Joints at `fps` a second: between two frames of a shot where both show them, else of the
    nearest."""
    times, last = np.array(seconds), len(seconds) - 1
    asked = np.arange(len(ticks)) / fps
    low = np.clip(np.searchsorted(times, asked, side="right") - 1, 0, last)
    high = np.minimum(low + 1, last)
    apart = np.where(high > low, times[high] - times[low], np.inf)
    share = np.clip((asked - times[low]) / apart, 0, 1)[:, None, None]
    between = (1 - share) * track.joints_px[low] + share * track.joints_px[high]
    both = track.visible[low] & track.visible[high] & (shots[low] == shots[high])[:, None]
    return np.where(both[..., None], between, track.joints_px[ticks])


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
