"""What an evaluation works on: its settings, its clips, their windows and their frames."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from posecast.clips import ClipError, PoseForecast, SeenVideo
from posecast.errors import PosecastError
from posecast.evaluation.methods import Method, stored_frames
from posecast.records.configs import check_at_least
from posecast.store.reading import ClipSelection, Store, StoredClip
from posecast.windows import ClipWindow, read_window, seen_window


@dataclass(frozen=True)
class EvaluationConfig:
    """What is evaluated, and how."""

    clips: ClipSelection = ClipSelection(split="validation")
    """Clips to forecast."""
    num_past: int = 10
    """Frames seen."""
    steps: int = 64
    """Future frames; those that a clip does not have are not counted."""
    start: Literal["first", "middle"] = "first"
    """Where the seen frames begin: the clip's first frame (paper, Penn Action) or its middle
    (paper, Human3.6M)."""
    stride: int = 1
    """See and forecast every n-th frame."""
    samples: int = 1
    """Futures of each method that knows several; with more than one, the best and the mean of them
    and their spread stand in the table too."""
    drawn: int = 1
    """Of so many of them frames are drawn, the likeliest first."""
    seen_poses: Literal["labels", "estimated"] = "labels"
    """Poses of the seen frames: the data set's labels, or those that 'posecast estimate' added.
    Forecasts are always compared with the labels."""
    thresholds: tuple[float, ...] = (0.05, 0.1)
    """Of PCK, as shares of the longer side of the clip's annotated box."""
    examples: int = 1
    """Clips that are kept with all forecasts to look at: so many of the best, of the middle and of
    the worst."""
    random_examples: int = 0
    """So many more, drawn by lot, to be judged by people ('posecast study make')."""
    final: bool = False
    """Allow test clips: nothing will be chosen by these numbers any more."""
    allow_trained: bool = False
    """Allow clips that a run was trained on; the result says so."""

    def __post_init__(self) -> None:
        check_at_least(1, self, "num_past", "steps", "stride", "samples", "drawn")
        if not all(threshold > 0 for threshold in self.thresholds):
            raise PosecastError(f"thresholds must be positive, got {self.thresholds}")


@dataclass(frozen=True, eq=False)
class Job:
    """One clip to evaluate."""

    clip: StoredClip
    seen: SeenVideo
    """What forecasts start from: labelled or estimated poses."""
    truth: ClipWindow
    """Labels of the same frames, and what came after them."""


def choose_jobs(
    clips: Sequence[StoredClip], store: Store, config: EvaluationConfig
) -> tuple[list[Job], dict[str, str]]:
    """Clips that can be evaluated, and why the others cannot."""
    source = store if config.seen_poses == "labels" else store.with_estimated_poses()
    estimated = {clip.clip_id: clip for clip in source.clips}
    window = (config.num_past, config.steps, config.start, config.stride)
    jobs, left_out = [], {}
    for clip in clips:
        try:
            if clip.clip_id not in estimated:
                raise ClipError(clip.clip_id, "has no estimated poses; run 'posecast estimate'")
            seen = seen_window(estimated[clip.clip_id], *window).past
            jobs.append(Job(clip, seen, seen_window(clip, *window)))
        except ClipError as error:
            left_out[clip.clip_id] = str(error)
    return jobs, left_out


@dataclass(frozen=True, eq=False)
class ClipVideo:
    """Frames of one clip."""

    seen: SeenVideo
    future: UInt8[np.ndarray, "n h w 3"]
    """True future frames, as many as the clip has."""


def read_video(job: Job, store: Store) -> ClipVideo:
    """Seen and true future frames, with the poses of the seen ones."""
    seen, future = read_window(store, job.clip, job.truth)
    return ClipVideo(replace(job.seen, frames=seen.frames), future)


def draw(
    method: Method, job: Job, video: ClipVideo, poses: PoseForecast | None, drawn: int = 1
) -> UInt8[np.ndarray, "s n h w 3"] | None:
    """The method's frames of its first futures, as many as the clip has; None from a method of
    poses alone."""
    window = job.truth
    length = window.num_truth
    if method.stored is not None:
        frames = stored_frames(method.stored, job.clip.clip_id, drawn)
        return None if frames is None else frames[:, :length]
    if method.kind == "oracle":
        joints, visible = window.future_joints_px[:length], window.future_visible[:length]
        poses = PoseForecast(joints[None], visible, np.ones(1), window.past.fps)
    return method.predict_frames(video.seen, poses, length, drawn)
