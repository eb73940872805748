"""What an evaluation works on: its settings, and the frames that a method shows of a clip."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from posecast.clips import PoseForecast
from posecast.errors import PosecastError
from posecast.evaluation.methods import Method, stored_frames
from posecast.forecasting.jobs import ClipVideo, Job
from posecast.records.configs import check_at_least
from posecast.store.reading import ClipSelection, SeenPoses
from posecast.windows import Start


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
    futures: int = 1
    """Futures of each method that knows several; with more than one, the best and the mean of them
    and their spread stand in the table too."""
    drawn: int = 1
    """Of so many of them frames are drawn, the likeliest first."""
    seen_poses: SeenPoses = "labels"
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
        check_at_least(1, self, "num_past", "steps", "stride", "futures", "drawn")
        if not all(threshold > 0 for threshold in self.thresholds):
            raise PosecastError(f"thresholds must be positive, got {self.thresholds}")

    @property
    def window(self) -> tuple[int, int, Start, int]:
        """As `windows.seen_window` takes it."""
        return self.num_past, self.steps, self.start, self.stride


def draw(
    method: Method, job: Job, video: ClipVideo, poses: PoseForecast | None, drawn: int = 1
) -> UInt8[np.ndarray, "s n h w 3"] | None:
    """The method's frames of its first futures, as many as the clip has; None from a method of
    poses alone."""
    length = job.truth.num_truth
    if method.stored is not None:
        frames = stored_frames(method.stored, job.clip.clip_id, drawn)
        return None if frames is None else frames[:, :length]
    poses = job.true_poses() if method.kind == "oracle" else poses
    return method.predict_frames(video.seen, poses, length, drawn)
