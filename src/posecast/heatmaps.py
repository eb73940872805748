"""Joints to the pictures of a pose that the image networks read: one Gaussian blob a channel."""

from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import threshold

from posecast.skeletons import Skeleton

LIMB_POINTS = 4
"""Channels a limb: points at 0, 1/3, 2/3 and 1 of its length (2017 code)."""

FAR_SIGMAS = 38.6037
"""A point further than this from the nearest pixel has no blob: its Gaussian underflows in double
precision, where the 2017 code divided 0 by 0 (deviations.md 24)."""


def structure_points(
    joints: Float[Tensor, "b j 2"], visible: Bool[Tensor, "b j"], skeleton: Skeleton
) -> tuple[Float[Tensor, "b c 2"], Bool[Tensor, "b c"]]:
    """Where the blobs of a pose lie, in the frame of `joints`, and which of them are shown.

    A limb has four points, channel 4 * limb + point; of a limb with one visible end only that end
    is shown; an end is visible if all its joints are (2017 conventions; deviations.md 26). A
    skeleton drawn by joints has one point a joint. What is not shown has finite coordinates without
    meaning.
    """
    weights, needed = _structure(skeleton, joints.device)
    known = torch.where(visible[..., None], joints, 0.0)
    # A sum of products, not a matrix product: autocast would round the coordinates to bfloat16.
    points = (weights.to(joints.dtype)[None, :, :, None] * known[:, None]).sum(dim=2)
    shown = (visible[:, None] | ~needed).all(dim=2)
    return points, shown


def draw_heatmaps(
    joints_crop: Float[Tensor, "b j 2"],
    visible: Bool[Tensor, "b j"],
    crop_hw: Float[Tensor, "b 2"],
    skeleton: Skeleton,
    size: int,
    sigma_px: float = 8.0,
    *,
    channels_last: bool = False,
    half: torch.dtype | None = None,
) -> Float[Tensor, "b c {size} {size}"]:
    """Heat maps of a batch of poses, straight at network size, on the device of `joints_crop`.

    `channels_last` is how they lie in memory: that way networks read them without a copy. `half` is
    what they are rounded to.

    The 2017 code drew each blob on the pixel grid of the crop (sigma in crop pixels), divided it
    by its largest pixel and resized the map to `size` bilinearly (2017 conventions; deviations.md
    24, 25). All of that is separable, so here both axes are drawn and resized as lines and
    multiplied: the same numbers up to rounding. Values in [0, 1]; a joint outside the crop marks
    the border with full strength, as in 2017; one too far away for that, and an invisible one,
    gives zeros.
    """
    if joints_crop.dtype in (torch.float16, torch.bfloat16):
        joints_crop = joints_crop.float()
    points, shown = structure_points(joints_crop, visible, skeleton)
    hw = crop_hw.to(points.dtype)
    rows, far_y = _lines(points[..., 1], hw[:, 0], size, sigma_px)
    columns, far_x = _lines(points[..., 0], hw[:, 1], size, sigma_px)
    shown = shown & (far_x.square() + far_y.square() <= FAR_SIGMAS**2)
    rows, columns = (torch.where(shown[..., None], lines, 0.0) for lines in (rows, columns))
    kind = half or rows.dtype
    if not channels_last:
        return (rows[..., :, None] * columns[..., None, :]).to(kind)
    rows, columns = (lines.transpose(1, 2).contiguous() for lines in (rows, columns))
    maps = rows.new_empty(len(rows), size, size, rows.shape[2], dtype=kind)
    return torch.mul(rows[:, :, None], columns[:, None], out=maps).permute(0, 3, 1, 2)


def _lines(
    shares: Float[Tensor, "b c"], length: Float[Tensor, " b"], size: int, sigma_px: float
) -> tuple[Float[Tensor, "b c {size}"], Float[Tensor, "b c"]]:
    """One axis of the blobs, resized, and how many sigmas each centre is from its nearest pixel.

    Each output pixel mixes its two neighbours on the crop's pixel grid (cv2.INTER_LINEAR, whose
    border repeats). Pixel i of the crop has its centre at i + 0.5, so `shares` of the crop are
    shares * length - 0.5 on the grid.
    """
    centre = (shares * length[:, None] - 0.5)[..., None]
    last = (length - 1)[:, None, None]
    step = (length / size)[:, None, None]
    position = (torch.arange(size, device=shares.device) + 0.5) * step - 0.5
    position = torch.minimum(position.clamp(min=0), last)
    before = position.floor()
    after = torch.minimum(before + 1, last)
    nearest = (torch.minimum(centre.round().clamp(min=0), last) - centre) / sigma_px
    share = position - before
    line = (1 - share) * _blob(before - centre, nearest, sigma_px)
    line = line + share * _blob(after - centre, nearest, sigma_px)
    # Products of such tails would be denormal numbers, which processors multiply slowly.
    return threshold(line, 1e-18, 0.0), nearest[..., 0]


def _blob(
    distance_px: Float[Tensor, "b c n"], nearest: Float[Tensor, "b c 1"], sigma_px: float
) -> Float[Tensor, "b c n"]:
    """Gaussian divided by its value at the nearest pixel, without ever dividing small numbers."""
    return torch.exp(0.5 * (nearest.square() - (distance_px / sigma_px).square()))


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _structure(
    skeleton: Skeleton, device: torch.device
) -> tuple[Float[Tensor, "c j"], Bool[Tensor, "c j"]]:
    """How much of each joint is in each point, and which joints it needs to be shown."""
    if skeleton.heatmaps == "joints":
        identity = torch.eye(skeleton.num_joints, device=device)
        return identity, identity > 0
    weights = torch.zeros(skeleton.num_heatmaps, skeleton.num_joints)
    needed = torch.zeros(skeleton.num_heatmaps, skeleton.num_joints, dtype=torch.bool)
    for limb, ends in enumerate(skeleton.limb_joints):
        for point in range(LIMB_POINTS):
            along = point / (LIMB_POINTS - 1)
            for end, share in zip(ends, (1 - along, along), strict=True):
                channel = LIMB_POINTS * limb + point
                weights[channel, end] += share / len(end)
                needed[channel, end] |= share > 0
    return weights.to(device), needed.to(device)
