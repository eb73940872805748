"""What networks say of one clip's forecast: its action, and features for the video distance."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from posecast.evaluation.networks import MetricNetworks
from posecast.evaluation.scores import action_curves, crop_coordinates
from posecast.evaluation.table import TRUTH, Curve
from posecast.forecasting.jobs import ClipVideo, Job
from posecast.geometry import px_to_crop
from posecast.metrics.pose import counted_joints
from posecast.metrics.video import FrechetStatistics, frechet_distance, video_features
from posecast.records.files import make_folder, reading, writing


@dataclass(frozen=True)
class Judges:
    """The networks, and a folder for features of single clips.

    Features lie on disk, one small file a clip and method, so that memory does not grow and a
    stopped evaluation has them when it goes on.
    """

    networks: MetricNetworks
    folder: Path

    def of_poses(
        self, method: str, job: Job, predicted_px: Float[np.ndarray, "t j 2"] | None
    ) -> list[Curve]:
        """Recognition of seen and future poses together, forecast or (None) true ones.

        The same joints are shown of all methods and of the truth: those that a forecast can be
        held to.
        """
        if self.networks.pose_judge is None:
            return []
        window, past = job.truth, job.truth.past
        future = window.future_joints_px if predicted_px is None else predicted_px
        shown = counted_joints(past.visible, window.future_visible[: window.num_truth])
        joints = np.concatenate([past.joints_px, future[: window.num_truth]])
        visible = np.concatenate([past.visible, shown[: len(future)]])
        probabilities = self.networks.pose_judge(px_to_crop(joints, job.clip.crop), visible)
        return action_curves(method, "action", probabilities, job.clip.action, "poses")

    def of_frames(
        self, method: str, job: Job, video: ClipVideo, frames: UInt8[np.ndarray, "t h w 3"]
    ) -> list[Curve]:
        """Recognition of the future frames after the last seen one; keeps their features."""
        if self.networks.extractor is not None:
            features = video_features(frames, self.networks.extractor, self.networks.recipe)
            if features is not None:
                path = self._file(method, job)
                make_folder(path.parent)
                with writing(path):
                    np.save(path, features)
        if self.networks.frame_judge is None:
            return []
        shown = np.concatenate([video.seen.pictures[-1:], frames])
        probabilities = self.networks.frame_judge(shown)
        coordinates = crop_coordinates(frames)
        return action_curves(method, "video action", probabilities, job.clip.action, coordinates)

    def of_all_clips(self, methods: Sequence[str], jobs: Sequence[Job]) -> list[Curve]:
        """The Frechet video distance of each method from the truth, over the same clips."""
        curves = []
        for method in methods:
            files = [(self._file(TRUTH, job), self._file(method, job)) for job in jobs]
            pairs = [pair for pair in files if all(path.is_file() for path in pair)]
            if len(pairs) >= 2:
                true, ours = FrechetStatistics(), FrechetStatistics()
                for true_file, our_file in pairs:
                    with reading(our_file):
                        true.add(np.load(true_file))
                        ours.add(np.load(our_file))
                value, count = frechet_distance(ours, true), float(len(pairs))
                recipe = self.networks.recipe
                shown = f"{recipe.num_frames} frames of {recipe.size}x{recipe.size}"
                one = (np.zeros(1, int), np.array([value]), np.array([count]))
                curves.append(Curve(method, "fvd", *one, shown))
        return curves

    def _file(self, method: str, job: Job) -> Path:
        return self.folder / method.replace(" ", "_") / f"{job.clip.clip_id}.npy"
