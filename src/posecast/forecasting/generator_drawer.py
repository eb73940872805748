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
from posecast.geometry import Crop, px_to_crop
from posecast.heatmaps import draw_heatmaps
from posecast.media.grey_levels import to_bytes, to_network
from posecast.networks.generator import Generator
from posecast.skeletons import Skeleton


class GeneratorDrawer:
    """Draws from the last of the seen frames; `sigma_px` is the width of the heat maps that the
    network was trained with."""

    def __init__(
        self,
        network: Generator,
        skeleton: Skeleton,
        sigma_px: float = 8.0,
        options: ForecasterOptions | None = None,
    ) -> None:
        if network.config.num_heatmaps != skeleton.num_heatmaps:
            raise PosecastError(
                f"the image model reads {network.config.num_heatmaps} heat maps, skeleton "
                f"{skeleton.name} has {skeleton.num_heatmaps}; use a run of one data set"
            )
        options = options or ForecasterOptions()
        self.skeleton = skeleton
        self.size = network.config.size
        self._sigma_px = sigma_px
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
        return seen.person_crop

    @torch.inference_mode()
    def draw_frames(
        self,
        seen: SeenVideo,
        joints_px: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
    ) -> UInt8[np.ndarray, "t h w 3"]:
        """As `FrameDrawer`."""
        crop, last = self.crop_of(seen), seen.last(1)
        image = to_network(torch.from_numpy(last.cut(crop, self.size)).to(self._device))
        source_map = self._heatmaps(last.joints_px, last.visible, crop)
        drawn = []
        with self._autocast():
            source = self._network.encode_source(image, source_map)
            for first in range(0, len(joints_px), self._frames_per_batch):
                part = slice(first, first + self._frames_per_batch)
                maps = self._heatmaps(joints_px[part], visible[part], crop)
                drawn.append(to_bytes(self._network.draw(source, maps)).cpu().numpy())
        return np.concatenate(drawn)

    def _heatmaps(
        self,
        joints_px: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
        crop: Crop,
    ) -> Float[Tensor, "t c h w"]:
        joints = torch.from_numpy(px_to_crop(joints_px, crop)).float().to(self._device)
        shown = torch.from_numpy(visible).to(self._device)
        hw = joints.new_tensor(crop.hw).expand(len(joints), 2)
        shape = (self.skeleton, self.size, self._sigma_px)
        return draw_heatmaps(joints, shown, hw, *shape, channels_last=True)

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        if self._precision == "32-true":
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, torch.bfloat16)
