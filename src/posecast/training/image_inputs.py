"""Pairs of frames as the image networks read them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from posecast.clips import ImageBatch
from posecast.heatmaps import draw_heatmaps
from posecast.media.grey_levels import to_network
from posecast.skeletons import Skeleton


@dataclass(frozen=True)
class ImagePairTensors:
    """A batch for generator and discriminator: pictures in [-1, 1], heat maps in [0, 1]."""

    source: Float[Tensor, "b 3 h w"]
    target: Float[Tensor, "b 3 h w"]
    source_heatmaps: Float[Tensor, "b c h w"]
    target_heatmaps: Float[Tensor, "b c h w"]


def image_tensors(batch: ImageBatch, skeleton: Skeleton, sigma_px: float) -> ImagePairTensors:
    """Scale the pictures and draw the heat maps, on the device that holds the batch.

    Of several source frames the last one is taken.
    """
    size = batch.target_images.shape[1]
    heatmaps = draw_heatmaps(
        torch.cat([batch.source_joints_crop[:, -1], batch.target_joints_crop]),
        torch.cat([batch.source_visible[:, -1], batch.target_visible]),
        torch.cat([batch.crop_hw, batch.crop_hw]),
        skeleton,
        size,
        sigma_px,
        channels_last=True,
    )
    source_heatmaps, target_heatmaps = heatmaps.chunk(2)
    return ImagePairTensors(
        to_network(batch.source_images[:, -1]),
        to_network(batch.target_images),
        source_heatmaps,
        target_heatmaps,
    )
