"""What the image model is worth on held-out pairs, in numbers and in pictures."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch import nn

from posecast.clips import ImageBatch
from posecast.computing.processes import average_metrics
from posecast.media.grey_levels import to_bytes
from posecast.media.pictures import contact_sheet, draw_pose, pose_on_plain
from posecast.metrics.image import psnr, ssim
from posecast.skeletons import Skeleton
from posecast.training.image_steps import image_tensors

SAMPLE_ROWS = 8
"""Pairs shown on a sheet of samples."""


def validate(
    generator: nn.Module, batches: Sequence[ImageBatch], skeleton: Skeleton, sigma_px: float
) -> dict[str, float]:
    """Scores of the drawn frames, and of the copied source frame ("copy"), means over pairs.

    As "validation/...": l1 and mse of grey levels / 255, psnr in dB, ssim; and skill, by which the
    best weights are chosen: the share of the copy's error that drawing removes, averaged over mse
    and 1 - ssim; 0 is as good as copying, 1 is perfect. The batches are this process's share; the
    scores are those of all processes.
    """
    drawn, copy = [], []
    for batch in batches:
        target = batch.target_images.cpu().numpy()
        drawn.append(_scores(_draw(generator, batch, skeleton, sigma_px), target))
        copy.append(_scores(batch.source_images[:, -1].cpu().numpy(), target))
    means = {name: np.mean([score[name] for score in drawn]) for name in drawn[0]}
    means |= {f"{name}_copy": np.mean([score[name] for score in copy]) for name in copy[0]}
    scores = average_metrics({name: torch.tensor(mean) for name, mean in means.items()}).read()
    scores["skill"] = _skill(scores)
    return {f"validation/{name}": score for name, score in scores.items()}


def _skill(scores: dict[str, float]) -> float:
    tiny = 1e-12  # copies without any error leave nothing to remove
    by_mse = 1 - scores["mse"] / max(scores["mse_copy"], tiny)
    by_ssim = 1 - (1 - scores["ssim"]) / max(1 - scores["ssim_copy"], tiny)
    return (by_mse + by_ssim) / 2


def _scores(
    predicted: UInt8[np.ndarray, "b h w 3"], true: UInt8[np.ndarray, "b h w 3"]
) -> dict[str, float]:
    difference = (predicted.astype(np.float64) - true) / 255
    return {
        "l1": float(np.abs(difference).mean()),
        "mse": float((difference**2).mean()),
        "psnr": float(psnr(predicted, true).mean()),
        "ssim": float(ssim(predicted, true).mean()),
    }


@torch.no_grad()
def _draw(
    generator: nn.Module, batch: ImageBatch, skeleton: Skeleton, sigma_px: float
) -> UInt8[np.ndarray, "b h w 3"]:
    pairs = image_tensors(batch, skeleton, sigma_px)
    drawn = generator(pairs.source, *pairs.heatmaps.chunk(2))
    return to_bytes(drawn).cpu().numpy()


def draw_samples(
    generator: nn.Module, batch: ImageBatch, skeleton: Skeleton, sigma_px: float
) -> UInt8[np.ndarray, "h w 3"]:
    """A sheet with a row a pair: source, truth, drawn, target pose; poses on the outer two."""
    drawn = _draw(generator, batch, skeleton, sigma_px)
    source, target = batch.source_images[:, -1].cpu().numpy(), batch.target_images.cpu().numpy()
    size = source.shape[1]
    joints = (batch.source_joints_crop[:, -1], batch.target_joints_crop)
    visible = (batch.source_visible[:, -1], batch.target_visible)
    from_joints, to_joints = (each.cpu().numpy() * size for each in joints)
    from_visible, to_visible = (each.cpu().numpy() for each in visible)
    pictures = []
    for k in range(min(len(drawn), SAMPLE_ROWS)):
        seen = draw_pose(source[k], from_joints[k], from_visible[k], skeleton)
        wanted = pose_on_plain(to_joints[k], to_visible[k], skeleton, (size, size))
        pictures += [seen, target[k], drawn[k], wanted]
    return contact_sheet(pictures, columns=4)
