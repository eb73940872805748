"""The paper's image generator as a drawer of frames.

Every frame is drawn from the last seen frame and two poses, never from a drawn frame, so that
errors of pixels do not pile up (paper, section 3). What depends on the seen frame alone is computed
once for all of its future frames.
"""

import contextlib

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from posecast.clips import SeenVideo
from posecast.computing.compilation import compile_parts
from posecast.computing.options import ForecasterOptions
from posecast.errors import PosecastError
from posecast.forecasting.protocols import crop_to_draw
from posecast.geometry import Crop, px_to_crop
from posecast.heatmaps import draw_heatmaps
from posecast.media.grey_levels import to_bytes, to_network
from posecast.networks.generator import Generator
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
        compile_parts(network.parts_to_compile(), options.compile, self._device)

    def crop_of(self, seen: SeenVideo) -> Crop:
        """As `FrameDrawer`: the person's crop."""
        return crop_to_draw(seen)

    @torch.inference_mode()
    def draw_frames(
        self,
        seen: SeenVideo,
        joints_px: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
    ) -> UInt8[np.ndarray, "t h w 3"]:
        """As `FrameDrawer`."""
        crop, last, map_hw = self.crop_of(seen), seen.last(1), self._map_hw(seen)
        image = to_network(torch.from_numpy(last.cut(crop, self.size)).to(self._device))
        source_map = self._heatmaps(last.joints_px, last.visible, crop, map_hw)
        drawn = []
        with self._autocast():
            source = self._network.encode_source(image, source_map)
            for first in range(0, len(joints_px), self._frames_per_batch):
                part = slice(first, first + self._frames_per_batch)
                maps = self._heatmaps(joints_px[part], visible[part], crop, map_hw)
                drawn.append(to_bytes(self._network.draw(source, maps)).cpu().numpy())
        return np.concatenate(drawn)

    def _map_hw(self, seen: SeenVideo) -> tuple[int, int]:
        """Height and width, in source pixels, of the crop that heat maps are drawn for.

        The clips of a prepared store count in their own pixels, as in 2017. A video of one's own is
        brought to the scale of the training crops, else blobs would shrink as resolution grows.
        """
        crop = self.crop_of(seen)
        if seen.crop is not None:
            return crop.hw
        scale = self._crop_side_px / max(crop.hw)
        return round(crop.height * scale), round(crop.width * scale)

    def _heatmaps(
        self,
        joints_px: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
        crop: Crop,
        map_hw: tuple[int, int],
    ) -> Float[Tensor, "t c h w"]:
        joints = torch.from_numpy(px_to_crop(joints_px, crop)).float().to(self._device)
        shown = torch.from_numpy(visible).to(self._device)
        hw = joints.new_tensor(map_hw).expand(len(joints), 2)
        shape = (self.skeleton, self.size, self._sigma_px)
        return draw_heatmaps(joints, shown, hw, *shape, channels_last=True)

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        if self._precision == "32-true":
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, torch.bfloat16)
