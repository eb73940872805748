"""Heat maps of single joints as the pose estimator draws them, and back to joints.

Not to be confused with the heat maps that the image generator reads (`heatmaps`): these are small,
with one channel a joint and a blob as wide in x as in y.
Pixel i of a map of n pixels has its centre at (i + 0.5) / n of the crop.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def draw_joint_maps(
    joints_crop: Float[Tensor, "b j 2"], visible: Bool[Tensor, "b j"], size: int, sigma: float
) -> Float[Tensor, "b j {size} {size}"]:
    """What the estimator should say: a Gaussian of height 1 at each joint, sigma in map pixels.

    Invisible joints have an empty map, so that the height of a peak says whether it is a joint.
    """
    centres = torch.arange(size, device=joints_crop.device, dtype=joints_crop.dtype) + 0.5
    offsets = torch.where(visible[..., None], joints_crop, 0.0)[..., None] * size - centres
    lines = torch.exp(-0.5 * (offsets / sigma).square())
    columns, rows = lines.unbind(dim=2)
    return visible[..., None, None] * rows[..., :, None] * columns[..., None, :]


def decode_joint_maps(
    maps: Float[Tensor, "b j h w"],
) -> tuple[Float[Tensor, "b j 2"], Float[Tensor, "b j"]]:
    """Joints as shares of the crop, and confidences in [0, 1] (the height of the peak).

    The peak is placed between pixels by a parabola through the logarithms around the highest
    pixel, which is exact for a Gaussian (Zhang et al., CVPR 2020), border pixels included.
    A map without any positive value gives its highest pixel and confidence 0.
    """
    maps = maps.float()
    _, _, height, width = maps.shape
    highest, place = maps.flatten(2).max(dim=2)
    row, column = place // width, place % width
    rows = maps.gather(2, row[..., None, None].expand(-1, -1, 1, width)).squeeze(2)
    columns = maps.gather(3, column[..., None, None].expand(-1, -1, height, 1)).squeeze(3)
    x = (_peak(rows, column) + 0.5) / width
    y = (_peak(columns, row) + 0.5) / height
    return torch.stack([x, y], dim=-1), highest.clamp(0, 1)


def _peak(line: Float[Tensor, "b j n"], highest: Int[Tensor, "b j"]) -> Float[Tensor, "b j"]:
    """Where a Gaussian through the highest value and its neighbours has its maximum.

    At the border the three values nearest to it are used; the peak may then lie a pixel outside.
    """
    middle = highest.clamp(1, line.shape[-1] - 2)
    around = middle[..., None] + torch.tensor([-1, 0, 1], device=line.device)
    # Below a thousandth of the peak there is no shape to trust.
    floor = 1e-3 * line.amax(dim=-1, keepdim=True).clamp(min=1e-6)
    before, centre, after = torch.maximum(line.gather(-1, around), floor).log().unbind(dim=-1)
    curvature = 2 * centre - before - after
    offset = torch.where(curvature > 1e-6, (after - before) / (2 * curvature), 0.0)
    estimate = middle + offset
    is_shaped = (curvature > 1e-6) & ((estimate - highest).abs() <= 1.5)
    return torch.where(is_shaped, estimate, highest.to(line.dtype))
