"""What an evaluation works on: its settings, its clips, their windows and their frames."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from posecast.clips import ClipError
from posecast.errors import PosecastError
from posecast.evaluation.baselines import SeenVideo
from posecast.evaluation.methods import Method, stored_frames
from posecast.evaluation.scores import TrueClip
from posecast.forecasting.forecaster import seen_window
from posecast.store.reading import ClipSelection, Store, StoredClip
from posecast.windows import ClipWindow


@dataclass(frozen=True)
class EvaluationConfig:
    """What is evaluated, and how."""

    clips: ClipSelection = field(default_factory=lambda: ClipSelection(split="validation"))
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
    seen_poses: Literal["labels", "estimated"] = "labels"
    """Poses of the seen frames: the data set's labels, or those that 'posecast estimate' added.
    Forecasts are always compared with the labels."""
    thresholds: tuple[float, ...] = (0.05, 0.1)
    """Of PCK, as shares of the longer side of the clip's annotated box."""
    examples: int = 1
    """Clips that are kept with all forecasts to look at: so many of the best, of the middle and of
    the worst."""
    final: bool = False
    """Allow test clips: nothing will be chosen by these numbers any more."""
    allow_trained: bool = False
    """Allow clips that a run was trained on; the result says so."""

    def __post_init__(self) -> None:
        for name in ("num_past", "steps", "stride"):
            if getattr(self, name) < 1:
                raise PosecastError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if not all(threshold > 0 for threshold in self.thresholds):
            raise PosecastError(f"thresholds must be positive, got {self.thresholds}")


@dataclass(frozen=True, eq=False)
class Job:
    """One clip to evaluate."""

    clip: StoredClip
    seen: ClipWindow
    """Its seen poses are what forecasts start from: labelled or estimated."""
    truth: TrueClip


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
            seen = seen_window(estimated[clip.clip_id], *window)
            jobs.append(Job(clip, seen, TrueClip(clip, seen_window(clip, *window))))
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
    seen = job.seen
    future = job.truth.window.future_frames[: job.truth.num_truth]
    frames = store.read_frames(job.clip, np.concatenate([seen.past_frames, future]))
    num_past = len(seen.past_frames)
    video = SeenVideo(frames[:num_past], seen.past_joints_crop, seen.past_visible, job.clip.crop.hw)
    return ClipVideo(video, frames[num_past:])


def draw(
    method: Method,
    job: Job,
    video: ClipVideo,
    predicted: Float[np.ndarray, "t j 2"] | None,
) -> UInt8[np.ndarray, "n h w 3"] | None:
    """The method's frames, as many as the clip has; None from a method of poses alone."""
    truth = job.truth
    length = truth.num_truth
    if method.stored is not None:
        return stored_frames(method.stored, truth.clip.clip_id, length)
    if method.kind == "oracle":
        joints = truth.window.future_joints_crop[:length]
        visible = truth.window.future_visible[:length]
    else:
        joints = None if predicted is None else predicted[:length]
        visible = np.repeat(np.any(job.seen.past_visible, axis=0)[None], length, axis=0)
    return method.predict_frames(video.seen, joints, visible, length)
