"""Poses as small pictures for the networks that help to carry a person."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from posecast.carrying.body_parts import HIPS, PARTS, SHOULDERS, TORSO, joint_index
from posecast.skeletons import Skeleton

NUM_MAPS = len(PARTS) + 1
"""The limbs, the head's middle, the neck and the torso."""
HEAD = (("head",), ("head",), 0.3)
NECK = (SHOULDERS, ("head",), 0.2)
TORSO_RADIUS = 0.2
_LINES = 5
"""The torso is so many lines from the shoulders to the hips."""
_OTHERS = (PARTS[TORSO].name, "head")


def body_maps(
    joints: Float[Tensor, "b j 2"],
    visible: Bool[Tensor, "b j"],
    size: float | Float[Tensor, "b 1 1"],
    skeleton: Skeleton,
    side: int,
) -> Float[Tensor, "b m {side} {side}"]:
    """exp(-distance / radius) to each part; 0 for one whose joints are not all visible.

    `joints` as shares of the square picture, `size` the body's likewise (`body_parts.body_size`).
    """
    places = (torch.arange(side, device=joints.device, dtype=joints.dtype) + 0.5) / side

    def middle(group: tuple[str, ...]) -> Float[Tensor, "b 2"]:
        # Slices: a list of numbers would be copied to the device each time.
        return torch.stack([joints[:, joint_index(skeleton, name)] for name in group]).mean(0)

    def shown(group: tuple[str, ...]) -> Bool[Tensor, "b 1 1"]:
        seen = torch.stack([visible[:, joint_index(skeleton, name)] for name in group]).all(0)
        return seen[:, None, None]

    limbs = [(part.start, part.end, part.radius) for part in PARTS if part.name not in _OTHERS]
    maps = []
    for start, end, radius in (*limbs, HEAD, NECK):
        distance = _distance(places, middle(start), middle(end))
        maps.append(torch.exp(-distance / (radius * size)) * shown(start + end))
    top, low = ([middle((name,)) for name in pair] for pair in (SHOULDERS, HIPS))
    lines = [
        _distance(places, torch.lerp(*top, weight=share), torch.lerp(*low, weight=share))
        for share in (number / (_LINES - 1) for number in range(_LINES))
    ]
    nearest = torch.stack(lines).amin(0)
    maps.append(torch.exp(-nearest / (TORSO_RADIUS * size)) * shown(SHOULDERS + HIPS))
    return torch.stack(maps, dim=1)


def _distance(
    places: Float[Tensor, " n"], start: Float[Tensor, "b 2"], end: Float[Tensor, "b 2"]
) -> Float[Tensor, "b n n"]:
    """Of places (rows and columns alike) from a line."""
    along = (end - start)[:, :, None, None]
    x, y = places - start[:, 0, None, None], places[:, None] - start[:, 1, None, None]
    length = (along * along).sum(1).clamp(min=1e-9)
    share = torch.clamp((x * along[:, 0] + y * along[:, 1]) / length, 0, 1)
    return torch.sqrt((x - share * along[:, 0]) ** 2 + (y - share * along[:, 1]) ** 2)
