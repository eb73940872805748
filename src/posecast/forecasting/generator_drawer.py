"""The paper's image generator as a drawer of frames.

Every frame is drawn from the last seen frame and two poses, never from a drawn frame, so that
errors of pixels do not pile up (paper, section 3). What depends on the seen frame alone is computed
once for all of its future frames.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from posecast.clips import SeenVideo
from posecast.computing.compilation import compile_parts
from posecast.computing.devices import ForecasterOptions, in_precision
from posecast.computing.recording import recorded
from posecast.errors import PosecastError
from posecast.forecasting.protocols import recent_of
from posecast.geometry import Crop, px_to_crop
from posecast.heatmaps import draw_heatmaps
from posecast.media.grey_levels import to_bytes, to_network
from posecast.networks.generator import Generator, SourceFeatures
from posecast.skeletons import Skeleton

CROP_SIDES_PX = {"penn_action": 248.0, "human36m": 466.0}
"""Median longer side of training crops, by skeleton, for weights that do not say: those of all
Penn Action training clips, and of twelve takes of S1 in Human3.6M."""


class GeneratorDrawer:
    """Draws from the last of the seen frames."""

    def __init__(
        self,
        network: Generator,
        skeleton: Skeleton,
        sigma_px: float = 8.0,
        options: ForecasterOptions | None = None,
        crop_side_px: float | None = None,
    ) -> None:
        """`sigma_px` is the width of the heat maps that the network was trained with, in pixels of
        crops whose longer side was `crop_side_px` (None: not recorded, see `CROP_SIDES_PX`)."""
        if network.config.num_heatmaps != skeleton.num_heatmaps:
            raise PosecastError(
                f"the image model reads {network.config.num_heatmaps} heat maps, skeleton "
                f"{skeleton.name} has {skeleton.num_heatmaps}; use a run of one data set"
            )
        options = options or ForecasterOptions()
        self.skeleton = skeleton
        self.size = network.config.size
        self._sigma_px = sigma_px
        usual = CROP_SIDES_PX.get(skeleton.name, CROP_SIDES_PX["penn_action"])
        self._crop_side_px = crop_side_px or usual
        self._device = options.pick_device()
        self._precision = options.precision
        # Few on a processor: then most of what a layer writes is still in the cache.
        suitable = 4 if self._device.type == "cpu" else 32
        self._frames_per_batch = options.frames_per_batch or suitable
        # torch's stubs know the layout for tensors only.
        self._network = (
            network.float().eval().to(self._device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        )
        compile_parts(network.parts_to_compile(), options.compile)
        self._encode = recorded(self._encode_plainly, options.compile, self._device)
        self._draw = recorded(self._draw_plainly, options.compile, self._device)

    def crop_of(
        self,
        seen: SeenVideo,
        joints_px: Float[np.ndarray, "*s t j 2"],
        visible: Bool[np.ndarray, "t j"],
    ) -> Crop:
        """As `FrameDrawer`: the seen person's crop, as in training."""
        return recent_of(seen).person_crop

    @torch.inference_mode()
    def draw_frames(
        self,
        seen: SeenVideo,
        joints_px: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
        crop: Crop | None = None,
    ) -> UInt8[np.ndarray, "t h w 3"]:
        crop, last = crop or self.crop_of(seen, joints_px, visible), seen.last(1)
        map_hw = self._map_hw(crop, seen.crop is None)
        map_hw = torch.tensor([map_hw], dtype=torch.float32, device=self._device)
        picture = torch.from_numpy(last.cut(crop, self.size)).to(self._device)
        source = self._encode(picture, *self._poses(last.joints_px, last.visible, crop), map_hw)
        poses = self._poses(joints_px, visible, crop)
        parts = zip(*(each.split(self._frames_per_batch) for each in poses), strict=True)
        drawn = [self._draw(source, *part, map_hw) for part in parts]
        return torch.cat(drawn).cpu().numpy()

    def _map_hw(self, crop: Crop, own_video: bool) -> tuple[int, int]:
        """Height and width, in source pixels, of the crop that heat maps are drawn for.

        The clips of a prepared store count in their own pixels, as in 2017. A video of one's own is
        brought to the scale of the training crops, else blobs would shrink as resolution grows.
        """
        if not own_video:
            return crop.hw
        scale = self._crop_side_px / max(crop.hw)
        return round(crop.height * scale), round(crop.width * scale)

    def _poses(
        self, joints_px: Float[np.ndarray, "t j 2"], visible: Bool[np.ndarray, "t j"], crop: Crop
    ) -> tuple[Float[Tensor, "t j 2"], Bool[Tensor, "t j"]]:
        """On the device, joints as shares of the crop."""
        joints = torch.from_numpy(px_to_crop(joints_px, crop)).float().to(self._device)
        return joints, torch.from_numpy(visible).to(self._device)

    def _encode_plainly(
        self,
        picture: UInt8[Tensor, "1 h w 3"],
        joints: Float[Tensor, "1 j 2"],
        visible: Bool[Tensor, "1 j"],
        map_hw: Float[Tensor, "1 2"],
    ) -> SourceFeatures:
        with in_precision(self._precision, self._device):
            heatmaps = self._heatmaps(joints, visible, map_hw)
            return self._network.encode_source(to_network(picture), heatmaps)

    def _draw_plainly(
        self,
        source: SourceFeatures,
        joints: Float[Tensor, "t j 2"],
        visible: Bool[Tensor, "t j"],
        map_hw: Float[Tensor, "1 2"],
    ) -> UInt8[Tensor, "t h w 3"]:
        with in_precision(self._precision, self._device):
            heatmaps = self._heatmaps(joints, visible, map_hw)
            return to_bytes(self._network.draw(source, heatmaps))

    def _heatmaps(
        self,
        joints: Float[Tensor, "t j 2"],
        visible: Bool[Tensor, "t j"],
        map_hw: Float[Tensor, "1 2"],
    ) -> Float[Tensor, "t c h w"]:
        hw, shape = map_hw.expand(len(joints), 2), (self.skeleton, self.size, self._sigma_px)
        return draw_heatmaps(joints, visible, hw, *shape, channels_last=True)
