"""Forecasts that lie on disk, as an evaluation judges them: whether they are of its clips, and what
they say of each."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from posecast.clips import ClipError, PoseForecast
from posecast.errors import PosecastError
from posecast.forecasting import forecast_files
from posecast.forecasting.jobs import Job
from posecast.records.files import FileError
from posecast.store.reading import SeenPoses


@dataclass(frozen=True)
class StoredForecasts:
    """A folder that 'posecast predict' wrote, or `forecasting.given`."""

    path: Path

    def missing(self, jobs: Sequence[Job], stride: int, seen_poses: SeenPoses) -> dict[str, str]:
        """Clips that it lacks, and why each is left out.

        PosecastError where its forecasts are of other windows than those asked for or of fewer
        frames, of other seen poses, or of other clips of the same names.
        """
        index = {facts.clip_id: facts for facts in forecast_files.read_index(self.path)}
        config = forecast_files.read_settings(self.path).get("config", {})
        saw = config.get("seen_poses", "labels")
        if saw != seen_poses:
            raise PosecastError(
                f"{self.path} was forecast from seen poses '{saw}', in this evaluation all see "
                f"'{seen_poses}': evaluate with --seen-poses {saw}, or predict again"
            )
        absent = {}
        for job in jobs:
            clip_id = job.clip.clip_id
            if clip_id not in index:
                absent[clip_id] = str(ClipError(clip_id, f"{self.path} has no forecast of it"))
                continue
            facts = index[clip_id]
            problem = _of_another_window(job, facts, stride) or _of_another_clip(job, facts, stride)
            if problem := problem or self._of_other_poses(job):
                raise PosecastError(f"{self.path}: clip {clip_id} {problem}, or predict again")
        return absent

    def _of_other_poses(self, job: Job) -> str:
        """Those that were seen and the labelled ones that came, when the clip was forecast."""
        try:
            stored = forecast_files.read_forecast(self._folder(job.clip.clip_id))
        except FileError:  # a damaged clip is left out where it is evaluated
            return ""
        joints = np.concatenate([stored.past_joints_px, stored.future_joints_px])
        visible = np.concatenate([stored.past_visible, stored.future_visible])
        joints_now = np.concatenate([job.seen.joints_px, job.truth.future_joints_px])
        visible_now = np.concatenate([job.seen.visible, job.truth.future_visible])
        both = slice(min(len(visible), len(visible_now)))
        seen = visible[both]
        is_same = np.allclose(joints[both][seen], joints_now[both][seen], atol=0.01)
        if is_same and np.array_equal(seen, visible_now[both]):
            return ""
        return (
            "has other poses in the store than when it was forecast: evaluate on the store that "
            "was forecast"
        )

    def poses(self, clip_id: str, samples: int) -> PoseForecast:
        """The first futures of a clip."""
        stored = forecast_files.read_forecast(self._folder(clip_id))
        weights = stored.weights[:samples] / stored.weights[:samples].sum()
        joints = stored.predicted_joints_px[:samples]
        return PoseForecast(joints, stored.predicted_visible, weights, stored.facts.fps)

    def frames(self, clip_id: str, drawn: int) -> UInt8[np.ndarray, "n t h w 3"] | None:
        """Frames of a clip's first futures, None where only poses were forecast."""
        folder = self._folder(clip_id)
        if forecast_files.read_facts(folder).frames == "none":
            return None
        return forecast_files.read_frames(folder)[:drawn]

    def _folder(self, clip_id: str) -> Path:
        return self.path / "clips" / clip_id


def _of_another_window(job: Job, facts: forecast_files.ForecastFacts, stride: int) -> str:
    window = job.truth
    found = (facts.start, facts.num_past, facts.stride)
    asked = (int(window.past_frames[0]), len(window.past), stride)
    if found != asked:
        texts = [
            f"{num} frames from frame {start} on, {by} apart" for start, num, by in (found, asked)
        ]
        return (
            f"was forecast from {texts[0]}, the evaluation is of {texts[1]}: evaluate with the "
            "--num-past, --stride and --start of the forecasts"
        )
    if facts.steps < window.num_truth:
        return (
            f"was forecast for {facts.steps} frames, the evaluation is of "
            f"{len(window.future_frames)}, and means over fewer do not compare: evaluate with "
            f"--steps {facts.steps}"
        )
    return ""


def _of_another_clip(job: Job, facts: forecast_files.ForecastFacts, stride: int) -> str:
    clip = job.clip
    crop = dataclasses.astuple(clip.crop) if facts.frames != "none" else facts.crop
    pairs = {
        "pictures (height, width)": (facts.image_hw, clip.image_hw),
        "crop": (facts.crop, crop),
        "box": (facts.box_px, clip.box_px),
        "frames a second": (facts.fps, clip.fps / stride),
    }
    for name, (there, here) in pairs.items():
        if not np.allclose(there, here):
            return (
                f"was forecast of another store, {name} {there} there and {here} here: evaluate on "
                "the store that was forecast"
            )
    return ""
