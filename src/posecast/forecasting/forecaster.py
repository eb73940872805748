"""From seen frames and poses to future poses, and from those to future frames.

Every future frame is drawn from the last seen frame and two poses, never from a drawn frame, so
that errors of pixels do not pile up (paper, section 3). What depends on the seen frame alone is
computed once for all of its future frames.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from posecast.clips import ClipError, Forecast, check_seen_video
from posecast.computing.compilation import compile_parts
from posecast.computing.options import ForecasterOptions
from posecast.errors import PosecastError
from posecast.geometry import (
    Crop,
    crop_to_norm,
    crop_to_px,
    cut_crop,
    flatten_joints,
    norm_to_crop,
    px_to_crop,
    seen_crop,
    unflatten_joints,
)
from posecast.heatmaps import draw_heatmaps
from posecast.media.grey_levels import to_bytes, to_network
from posecast.networks.generator import Generator
from posecast.networks.kinds import load_network
from posecast.networks.pose_lstm import PoseLSTM
from posecast.skeletons import SKELETONS, Skeleton
from posecast.store.reading import Store, StoredClip
from posecast.windows import ClipWindow, PoseWindows, Start, seen_and_future

CLIPS_PER_BATCH = 64
"""Clips whose poses are forecast together."""


class Forecaster:
    """A pose model and an image model, ready to forecast.

    Make one with `Forecaster.load`, or from two networks. Without an image model it forecasts
    poses only; without a pose model it draws given poses only.
    """

    def __init__(
        self,
        pose_model: PoseLSTM | None,
        image_model: Generator | None,
        skeleton: Skeleton,
        num_past: int = 10,
        stride: int = 1,
        sigma_px: float = 8.0,
        options: ForecasterOptions | None = None,
    ) -> None:
        """`num_past` seen frames, `stride` apart, is what the pose model was trained with;
        `sigma_px` the width of the heat maps that the image model was trained with."""
        self.skeleton = skeleton
        self.num_past = num_past
        self.stride = stride
        self.options = options or ForecasterOptions()
        self._sigma_px = sigma_px
        self._device = self.options.pick_device()
        # Few on a processor: then most of what a layer writes is still in the cache.
        suitable = 4 if self._device.type == "cpu" else 32
        self._frames_per_batch = self.options.frames_per_batch or suitable
        self._pose_model = None
        self._image_model = None
        if pose_model is not None:
            self._check_pose_model(pose_model)
            self._pose_model = pose_model.float().eval().to(self._device)
        if image_model is not None:
            self._check_image_model(image_model)
            image_model = image_model.float().eval().to(self._device)
            # torch's stubs know the layout for tensors only.
            self._image_model = image_model.to(  # pyright: ignore[reportCallIssue]
                memory_format=torch.channels_last
            )
            compile_parts(image_model.parts_to_compile(), self.options.compile, self._device)

    def _check_pose_model(self, model: PoseLSTM) -> None:
        if model.config.num_joints != self.skeleton.num_joints:
            raise PosecastError(
                f"the pose model has {model.config.num_joints} joints, skeleton "
                f"{self.skeleton.name} has {self.skeleton.num_joints}; use a run of one data set"
            )

    def _check_image_model(self, model: Generator) -> None:
        if model.config.num_heatmaps != self.skeleton.num_heatmaps:
            raise PosecastError(
                f"the image model reads {model.config.num_heatmaps} heat maps, skeleton "
                f"{self.skeleton.name} has {self.skeleton.num_heatmaps}; use a run of one data set"
            )

    @property
    def size(self) -> int:
        """Side of the frames it draws, in pixels; PosecastError without an image model."""
        return self._drawing_model().config.size

    def _drawing_model(self) -> Generator:
        if self._image_model is None:
            raise PosecastError("no image model: give an image run to have frames")
        return self._image_model

    @torch.inference_mode()
    def predict_poses(
        self,
        past_joints_crop: Float[np.ndarray, "b p j 2"],
        past_visible: Bool[np.ndarray, "b p j"],
        steps: int,
    ) -> Float[np.ndarray, "b {steps} j 2"]:
        """Future poses of many clips, as shares of their crops.

        Coordinates of hidden joints are not looked at. Joints that were never seen are forecast
        too, but nothing is known of them.

        Raises:
            PosecastError: no pose model, no seen frame, or sizes that do not fit it.
        """
        if self._pose_model is None:
            raise PosecastError("no pose model: give a pose run to forecast poses")
        predicted = []
        for first in range(0, len(past_joints_crop), CLIPS_PER_BATCH):
            part = slice(first, first + CLIPS_PER_BATCH)
            joints = torch.from_numpy(past_joints_crop[part]).float()
            past = flatten_joints(crop_to_norm(joints)).to(self._device)
            mask = torch.from_numpy(past_visible[part]).to(self._device)
            future = norm_to_crop(unflatten_joints(self._pose_model(past, mask, steps)))
            predicted.append(future.cpu().numpy())
        return np.concatenate(predicted)

    @torch.inference_mode()
    def draw_frames(
        self,
        source_frame: UInt8[np.ndarray, "h w 3"],
        source_joints_crop: Float[np.ndarray, "j 2"],
        source_visible: Bool[np.ndarray, "j"],
        target_joints_crop: Float[np.ndarray, "t j 2"],
        target_visible: Bool[np.ndarray, "t j"],
        crop_hw: tuple[int, int],
    ) -> UInt8[np.ndarray, "t h w 3"]:
        """Frames of the target poses, drawn from one seen frame and its pose.

        `source_frame` is a crop scaled to the model's size, `crop_hw` its height and width in
        source pixels, which the width of the heat maps is stated in.

        Raises:
            PosecastError: no image model, or a frame of another size than the model's.
        """
        model, size = self._drawing_model(), self.size
        if source_frame.shape[:2] != (size, size):
            raise PosecastError(
                f"source frame is {source_frame.shape[:2]}, the image model draws {(size, size)}: "
                f"prepare the store with --size {size}"
            )
        image = to_network(torch.from_numpy(source_frame).to(self._device)[None])
        source_map = self._heatmaps(source_joints_crop[None], source_visible[None], crop_hw)
        drawn = []
        with self._autocast():
            source = model.encode_source(image, source_map)
            for first in range(0, len(target_joints_crop), self._frames_per_batch):
                part = slice(first, first + self._frames_per_batch)
                maps = self._heatmaps(target_joints_crop[part], target_visible[part], crop_hw)
                drawn.append(to_bytes(model.draw(source, maps)).cpu().numpy())
        return np.concatenate(drawn)

    def _heatmaps(
        self,
        joints_crop: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
        crop_hw: tuple[int, int],
    ) -> Float[Tensor, "t c h w"]:
        joints = torch.from_numpy(joints_crop).float().to(self._device)
        shown = torch.from_numpy(visible).to(self._device)
        hw = joints.new_tensor(crop_hw).expand(len(joints), 2)
        shape = (self.skeleton, self.size, self._sigma_px)
        return draw_heatmaps(joints, shown, hw, *shape, channels_last=True)

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        if self.options.precision == "32-true":
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, torch.bfloat16)

    def predict(
        self,
        frames: Sequence[UInt8[np.ndarray, "h w 3"]] | UInt8[np.ndarray, "t h w 3"],
        joints: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
        steps: int = 64,
        num_seen: int | None = None,
    ) -> Forecast:
        """Forecast a video of one's own from its seen frames.

        Args:
            frames: full pictures, RGB, at the frame rate that the models were trained on.
            joints: in pixels of those pictures, (0, 0) the top-left corner.
            visible: which joints were found.
            steps: how many frames to forecast.
            num_seen: how many of the frames are seen, all by default; what comes after them is
                not looked at. The last `num_past` of them, `stride` apart, are used.

        The crop is chosen by those seen frames alone; `Forecast.frames` show the crop, and
        `Forecast.joints_px` are in pixels of the full pictures.

        Raises:
            PosecastError: too few seen frames, no visible joint, or arrays that do not fit.
        """
        check_seen_video(frames, joints, visible, self.skeleton)
        used = self._used_frames(len(frames), num_seen)
        joints, visible = joints[used], visible[used]
        if not np.isfinite(joints[visible]).all():
            raise PosecastError(
                "visible joints have NaN or infinite places; mark them as not visible"
            )
        last = frames[used[-1]]
        crop = crop_of_joints(joints, visible, (last.shape[0], last.shape[1]))
        joints_crop = px_to_crop(joints, crop)
        # Large crops are averaged: skipping pixels, as the training crops do, would flicker.
        source = None if self._image_model is None else cut_crop(last, crop, self.size, "area")
        return self._forecast(source, joints_crop, visible, crop, steps)

    def _used_frames(self, num_frames: int, num_seen: int | None) -> list[int]:
        num_seen = num_frames if num_seen is None else num_seen
        if not 0 < num_seen <= num_frames:
            raise PosecastError(f"num_seen is {num_seen}, there are {num_frames} frames")
        first = num_seen - 1 - (self.num_past - 1) * self.stride
        if first < 0:
            raise PosecastError(
                f"{num_seen} seen frames, expected at least {num_seen - first}: the pose model "
                f"was trained to see {self.num_past}, {self.stride} apart"
            )
        return list(range(first, num_seen, self.stride))

    def _forecast(
        self,
        source_frame: UInt8[np.ndarray, "h w 3"] | None,
        joints_crop: Float[np.ndarray, "p j 2"],
        visible: Bool[np.ndarray, "p j"],
        crop: Crop,
        steps: int,
    ) -> Forecast:
        predicted = self.predict_poses(joints_crop[None], visible[None], steps)[0]
        ever_seen = np.repeat(np.any(visible, axis=0)[None], steps, axis=0)
        frames = None
        if source_frame is not None:
            frames = self.draw_frames(
                source_frame, joints_crop[-1], visible[-1], predicted, ever_seen, crop.hw
            )
        return Forecast(predicted, crop_to_px(predicted, crop), ever_seen, frames)

    def predict_clip(
        self, store: Store, clip: StoredClip, steps: int = 64, start: Start = "first"
    ) -> Forecast:
        """Forecast a clip of a prepared store; its crop is the store's.

        `start` is where the seen frames begin. Raises ClipError where the clip cannot be used:
        too short, no joint seen, or no frames though there is an image model.
        """
        window = seen_window(clip, self.num_past, steps, start, self.stride)
        source = None if self._image_model is None else read_source(store, clip, window)
        return self._forecast(
            source, window.past_joints_crop, window.past_visible, clip.crop, steps
        )

    @classmethod
    def load(
        cls,
        pose_run: str | Path | None,
        image_run: str | Path | None = None,
        options: ForecasterOptions | None = None,
    ) -> "Forecaster":
        """Read the best weights of finished or unfinished runs; leave out what is not needed.

        Raises:
            PosecastError: not a run, a run of another kind, no weights yet, or two runs that do not
                fit each other.
        """
        if pose_run is None and image_run is None:
            raise PosecastError("give a pose run, an image run, or both")
        pose_model, windows, pose_skeleton = _load_pose(pose_run)
        image_model, sigma_px, image_skeleton = _load_image(image_run)
        names = {name for name in (pose_skeleton, image_skeleton) if name}
        if len(names) > 1:
            raise PosecastError(
                f"the pose run was trained on skeleton {pose_skeleton}, the image run on "
                f"{image_skeleton}; use two runs of one data set"
            )
        skeleton = SKELETONS[names.pop()]
        return cls(
            pose_model, image_model, skeleton, windows.num_past, windows.stride, sigma_px, options
        )


def _load_pose(path: str | Path | None) -> tuple[PoseLSTM | None, PoseWindows, str]:
    """The network, the windows that it was trained on, and the name of its skeleton."""
    if path is None:
        return None, PoseWindows(), ""
    loaded = load_network(path, PoseLSTM)
    facts = loaded.facts
    return loaded.network, PoseWindows(facts.num_past, stride=facts.stride), facts.skeleton


def _load_image(path: str | Path | None) -> tuple[Generator | None, float, str]:
    """The network, the width of the heat maps that it reads, and the name of its skeleton."""
    if path is None:
        return None, 8.0, ""
    loaded = load_network(path, Generator)
    return loaded.network, loaded.facts.sigma_px, loaded.facts.skeleton


def seen_window(
    clip: StoredClip, num_past: int, steps: int, start: Start = "first", stride: int = 1
) -> ClipWindow:
    """The seen frames of a clip and the truth after them.

    Raises ClipError where there is nothing to forecast or to compare with: the clip ends with
    the seen frames, or not one joint is visible in them.
    """
    window = seen_and_future(clip, num_past, steps, start, stride)
    if not window.future_exists[0]:
        raise ClipError(
            clip.clip_id,
            f"has {clip.num_frames} frames, the {num_past} seen ones leave nothing to forecast; "
            "leave it out or see fewer",
        )
    if not np.any(window.past_visible):
        raise ClipError(clip.clip_id, "has no visible joint in its seen frames; leave it out")
    return window


def read_source(store: Store, clip: StoredClip, window: ClipWindow) -> UInt8[np.ndarray, "h w 3"]:
    """The last seen frame, which all future frames are drawn from."""
    if not clip.has_frames:
        raise ClipError(clip.clip_id, "has poses but no frames; forecast its poses only")
    return store.read_frames(clip, window.past_frames[-1:])[0]


def crop_of_joints(
    joints_px: Float[np.ndarray, "t j 2"],
    visible: Bool[np.ndarray, "t j"],
    image_hw: tuple[int, int],
) -> Crop:
    """The crop of a video of one's own, by its seen poses; PosecastError: no joint visible."""
    return seen_crop(_boxes_of_joints(joints_px, visible), image_hw)


def _boxes_of_joints(
    joints: Float[np.ndarray, "t j 2"], visible: Bool[np.ndarray, "t j"]
) -> Float[np.ndarray, "n 4"]:
    """A box around the visible joints of each frame that has any."""
    seen = visible.any(axis=1)
    if not seen.any():
        raise PosecastError("no joint is visible in the seen frames: nothing to forecast from")
    hidden = ~visible[seen][..., None]
    low = np.where(hidden, np.inf, joints[seen]).min(axis=1)
    high = np.where(hidden, -np.inf, joints[seen]).max(axis=1)
    return np.concatenate([low, high], axis=1)
