"""Metrics that need a network: loading them from files and runs, and what they say of one clip's
forecast: its action, and features for the video distance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from posecast.evaluation.scores import FrameMetric, action_curves, crop_coordinates
from posecast.evaluation.table import TRUTH, Curve
from posecast.forecasting.jobs import ClipVideo, Job
from posecast.geometry import px_to_crop
from posecast.metrics.image import flow_stack
from posecast.metrics.perceptual import load_lpips_weights, lpips
from posecast.metrics.pose import counted_joints
from posecast.metrics.video import (
    Extractor,
    VideoRecipe,
    frechet_distance,
    load_extractor,
    video_features,
)
from posecast.networks.action_classifier import FlowClassifier, PoseClassifier
from posecast.networks.alexnet import load_torchvision_alexnet
from posecast.networks.kinds import load_network
from posecast.records.files import make_folder, reading, writing

PoseJudge = Callable[[Float[np.ndarray, "t j 2"], Bool[np.ndarray, "t j"]], dict[str, float]]
"""(joints as shares of the crop, visible) -> probability of each action."""
FrameJudge = Callable[[UInt8[np.ndarray, "t h w 3"]], dict[str, float]]
"""Frames -> probability of each action."""


@dataclass(frozen=True, eq=False)
class MetricNetworks:
    """Networks that judge forecasts, as callables; metrics without theirs are left out."""

    frame_metrics: dict[str, FrameMetric] = field(default_factory=dict)
    """Further metrics of frames, such as LPIPS, by name."""
    pose_judge: PoseJudge | None = None
    """Says which action a pose sequence shows."""
    frame_judge: FrameJudge | None = None
    """Says which action frames show."""
    extractor: Extractor | None = None
    """Features for the Frechet video distance."""
    recipe: VideoRecipe = VideoRecipe()
    """What the extractor is shown."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What evaluation.json says of them: files, runs; plain JSON values."""


@dataclass(frozen=True)
class NetworkFiles:
    """Where the networks are that some metrics need; a metric without its file is left out."""

    alexnet_file: Path | None = None
    """torchvision's AlexNet checkpoint (alexnet-owt-*.pth), for LPIPS."""
    video_extractor: Path | None = None
    """TorchScript file that makes features of videos, for the Frechet video distance."""
    video_frames: int = 16
    """Future frames of each clip that the extractor is shown."""
    video_size: int = 224
    """Height and width of the frames that it is shown."""
    pose_action_run: Path | None = None
    """Run of 'posecast train pose-action', for 'is the action still recognised'."""
    flow_action_run: Path | None = None
    """Run of 'posecast train flow-action', for the same from frames."""


def load_networks(files: NetworkFiles) -> MetricNetworks:
    """Read what is named; PosecastError where a file is missing or another thing."""
    frame_metrics = {} if files.alexnet_file is None else {"lpips": load_lpips(files.alexnet_file)}
    given = [(name, path) for name, path in vars(files).items() if isinstance(path, str | Path)]
    named: dict[str, Any] = {name: str(Path(path).resolve()) for name, path in given}
    extractor = files.video_extractor and load_extractor(files.video_extractor)
    recipe = VideoRecipe(files.video_frames, files.video_size)
    if extractor is not None:
        named |= {"video_frames": recipe.num_frames, "video_size": recipe.size}
    return MetricNetworks(
        frame_metrics,
        pose_judge=files.pose_action_run and load_pose_judge(files.pose_action_run),
        frame_judge=files.flow_action_run and load_frame_judge(files.flow_action_run),
        extractor=extractor,
        recipe=recipe,
        facts=named,
    )


def load_lpips(alexnet_file: str | Path) -> FrameMetric:
    """LPIPS with torchvision's AlexNet."""
    network, weights = load_torchvision_alexnet(alexnet_file), load_lpips_weights()
    return lambda predicted, true: lpips(predicted, true, network.layers, weights)


def load_pose_judge(run_path: str | Path) -> PoseJudge:
    """The classifier of pose sequences of a run."""
    loaded = load_network(run_path, PoseClassifier)
    network, actions = loaded.network, loaded.facts.actions

    @torch.inference_mode()
    def judge(
        joints_crop: Float[np.ndarray, "t j 2"], visible: Bool[np.ndarray, "t j"]
    ) -> dict[str, float]:
        joints = torch.from_numpy(joints_crop).float()[None]
        logits = network(joints, torch.from_numpy(visible)[None])[0]
        return dict(zip(actions, logits.softmax(dim=0).tolist(), strict=True))

    return judge


def load_frame_judge(run_path: str | Path) -> FrameJudge:
    """The classifier of optical flow of a run; a clip's answer is the mean over its stacks."""
    loaded = load_network(run_path, FlowClassifier)
    network, actions = loaded.network, loaded.facts.actions

    @torch.inference_mode()
    def judge(frames: UInt8[np.ndarray, "t h w 3"]) -> dict[str, float]:
        flows, depth = torch.from_numpy(flow_stack(frames)), network.config.num_flows
        if len(flows) < depth:
            return {}
        starts = range(0, len(flows) - depth + 1, depth // 2 or 1)
        stacks = torch.stack([flows[start : start + depth] for start in starts])
        shares = network(stacks).softmax(dim=1).mean(dim=0)
        return dict(zip(actions, shares.tolist(), strict=True))

    return judge


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
                true, ours = (np.stack([*map(_load, paths)]) for paths in zip(*pairs, strict=True))
                value, count = frechet_distance(ours, true), float(len(pairs))
                recipe = self.networks.recipe
                shown = f"{recipe.num_frames} frames of {recipe.size}x{recipe.size}"
                one = (np.zeros(1, int), np.array([value]), np.array([count]))
                curves.append(Curve(method, "fvd", *one, shown))
        return curves

    def _file(self, method: str, job: Job) -> Path:
        name = quote(method, safe=" ").replace("_", "%5F").replace(" ", "_")  # no two are alike
        return self.folder / name / f"{job.clip.clip_id}.npy"


def _load(path: Path) -> Float[np.ndarray, " d"]:
    with reading(path):
        return np.load(path)
