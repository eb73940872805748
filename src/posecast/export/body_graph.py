"""A body's parts in tensors, so that an exporter can follow them.

The same mathematics as `carrying.body_parts` and `carrying.smoothing`, whose constants it takes,
with the exact distance to a torso where OpenCV counts pixels. Poses are shares of a square picture,
lengths pixels of its `COARSE` size; `b` poses, `n` parts, `c` = `COARSE`.
"""

from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from posecast.carrying import smoothing
from posecast.carrying.body_parts import (
    FAR,
    HIPS,
    LEAST_TORSO,
    MAX_STRETCH,
    PARTS,
    SHOULDERS,
    TORSO,
    TORSO_CORNERS,
    joint_index,
    partners,
)
from posecast.carrying.layers import COARSE
from posecast.skeletons import Skeleton

HUGE = 1e9
"""In place of infinity."""
_SIZE_PERCENT = 80
_STEADY, _SHORTEST = 0.3, 0.12
"""As `body_parts.part_transform` calls its transforms."""


@dataclass(frozen=True, eq=False)
class Bodies:
    """As `body_parts.Pose`, in pixels of the `COARSE` size."""

    ends: Float[Tensor, "b n 2 2"]
    corners: Float[Tensor, "b 4 2"]
    known: Bool[Tensor, "b n"]

    def take(self, rows: Int[Tensor, " b"]) -> "Bodies":
        return Bodies(self.ends[rows], self.corners[rows], self.known[rows])


def size_of_body(
    joints: Float[Tensor, "p j 2"], visible: Bool[Tensor, "p j"], skeleton: Skeleton
) -> Float[Tensor, "1 1 1"]:
    """As `body_parts.body_size`."""
    pairs = [(SHOULDERS, HIPS), (SHOULDERS[:1], SHOULDERS[1:])]
    for side in ("left", "right"):
        hip, knee, ankle = ((f"{side}_{joint}",) for joint in ("hip", "knee", "ankle"))
        pairs += [(hip, knee), (knee, ankle)]
    lengths = []
    for pair in pairs:
        first, second = ([joint_index(skeleton, name) for name in group] for group in pair)
        length = (joints[:, first].mean(1) - joints[:, second].mean(1)).norm(dim=-1)
        lengths.append(torch.where(visible[:, first + second].all(1), length, 0.0))
    longest = torch.stack(lengths).amax(0).sort().values
    unseen = (longest <= 0).sum()
    place = unseen + _SIZE_PERCENT / 100 * (longest.shape[0] - 1 - unseen).clamp(min=0)
    low = place.floor().long().clamp(max=longest.shape[0] - 1)
    high = (low + 1).clamp(max=longest.shape[0] - 1)
    size = longest[low] + (place - low) * (longest[high] - longest[low])
    return size.reshape(1, 1, 1)


def size_px(
    joints: Float[Tensor, "p j 2"], visible: Bool[Tensor, "p j"], skeleton: Skeleton
) -> Float[Tensor, ""]:
    """In pixels of the `COARSE` size."""
    return (size_of_body(joints, visible, skeleton) * COARSE).reshape(()).clamp(min=1.0)


def smoothed(
    joints: Float[Tensor, "t j 2"], visible: Bool[Tensor, "t j"]
) -> Float[Tensor, "t j 2"]:
    """As `smoothing.smoothed`; hidden joints stay as they are."""
    frames = torch.arange(joints.shape[0])
    room = torch.minimum(frames, joints.shape[0] - 1 - frames)
    weight, total = torch.zeros_like(joints[..., :1]), torch.zeros_like(joints)
    for offset in range(-smoothing.REACH, smoothing.REACH + 1):
        there = (frames + offset).clamp(min=0).clamp(max=joints.shape[0] - 1)
        near = torch.exp(torch.tensor(-0.5 * (offset / smoothing.SIGMA_FRAMES) ** 2))
        share = near * (visible[there] & (room >= abs(offset))[:, None])[..., None]
        weight, total = weight + share, total + share * joints[there]
    return torch.where(visible[..., None], total / weight.clamp(min=1e-9), joints)


def without_gaps(
    joints: Float[Tensor, "t j 2"], visible: Bool[Tensor, "t j"], skeleton: Skeleton
) -> tuple[Float[Tensor, "t j 2"], Bool[Tensor, "t j"]]:
    """As `smoothing.without_gaps`."""
    frames, last = torch.arange(joints.shape[0]), joints.shape[0] - 1
    at, other = frames[:, None, None], frames[:, None]
    before = torch.where(visible & (other <= at), other, -1).amax(1)
    after = torch.where(visible & (other >= at), other, joints.shape[0]).amin(1)
    total, weight = torch.zeros_like(joints), torch.zeros_like(joints[..., 0])
    for source in (before, after):
        guess, known = _taken_along(joints, visible, source.clamp(0, last))
        near = known / (source - other).abs().clamp(min=1)
        total, weight = total + guess * near[..., None], weight + near
    trunk = torch.tensor([name in TORSO_CORNERS for name in skeleton.joints])
    lost = torch.from_numpy(smoothing.ends_of_legs(skeleton))
    short = (lost >= 0) & ~visible[:, lost] & (after - before <= smoothing.BLURRED + 1)
    guessed = (weight > 0) & ~visible & (trunk | short)
    mean = total / weight.clamp(min=1e-9)[..., None]
    return torch.where(guessed[..., None], mean, joints), visible | guessed


def _taken_along(
    joints: Float[Tensor, "t j 2"], visible: Bool[Tensor, "t j"], source: Int[Tensor, "t j"]
) -> tuple[Float[Tensor, "t j 2"], Bool[Tensor, "t j"]]:
    """As `smoothing._taken_along`."""
    there = joints.gather(0, source[..., None].expand(-1, -1, 2))
    others, shown = joints[source], visible[source] & visible[:, None]
    far = (others - there[:, :, None]).square().sum(-1)
    weight = shown / far.clamp(min=1e-9)
    moved = (weight[..., None] * (joints[:, None] - others)).sum(2)
    moved = moved / weight.sum(2).clamp(min=1e-9)[..., None]
    return there + moved, visible.gather(0, source) & shown.any(2)


def bodies_of(
    joints: Float[Tensor, "b j 2"],
    visible: Bool[Tensor, "b j"],
    size: Float[Tensor, ""],
    skeleton: Skeleton,
) -> Bodies:
    """As `body_parts.pose_of`, of poses in shares of the crop."""
    joints, other = joints * COARSE, partners(skeleton)
    joints = torch.where(visible[..., None], joints, joints[:, other])
    visible = visible | visible[:, other]
    ends, known = [], []
    for part in PARTS:
        groups = [[joint_index(skeleton, name) for name in end] for end in (part.start, part.end)]
        start, end = (joints[:, group].mean(1) for group in groups)
        known.append(visible[:, groups[0] + groups[1]].all(1))
        along = end - start
        if part.name == "head":
            start, end = start + 0.45 * along, start + 1.2 * along
        elif part.beyond:
            length = along.norm(dim=-1, keepdim=True)
            reach = torch.minimum(part.beyond * size, 0.6 * length)
            end = end + along / length.clamp(min=1e-3) * reach
        ends.append(torch.stack([start, end], 1))
    corners = joints[:, [joint_index(skeleton, name) for name in TORSO_CORNERS]]
    return Bodies(torch.stack(ends, 1), corners, torch.stack(known, 1))


def distances_of(bodies: Bodies, size: Float[Tensor, ""]) -> Float[Tensor, "b n c c"]:
    """As `body_parts.part_distances`."""
    places = places_of(COARSE)
    far = _to_segment(places, bodies.ends[:, :, 0], bodies.ends[:, :, 1])
    far = torch.cat([_to_hull(places, bodies.corners)[:, None], far[:, 1:]], 1)
    radii = torch.tensor([part.radius for part in PARTS]) * size
    far = (far / radii[:, None, None]).clamp(max=FAR)
    return torch.where(bodies.known[..., None, None], far, FAR)


def _to_segment(
    places: Float[Tensor, "c c 2"], start: Float[Tensor, "b n 2"], end: Float[Tensor, "b n 2"]
) -> Float[Tensor, "b n c c"]:
    along = (end - start)[:, :, None, None]
    apart = places - start[:, :, None, None]
    share = (apart * along).sum(-1) / along.square().sum(-1).clamp(min=1e-6)
    return (apart - share.clamp(0, 1)[..., None] * along).norm(dim=-1)


def _to_hull(
    places: Float[Tensor, "c c 2"], corners: Float[Tensor, "b 4 2"]
) -> Float[Tensor, "b c c"]:
    """0 inside of the corners' hull, which is the triangles of any three."""
    pairs = list(combinations(range(4), 2))
    first, second = ([pair[n] for pair in pairs] for n in (0, 1))
    far = _to_segment(places, corners[:, first], corners[:, second]).amin(1)
    along = (corners[:, second] - corners[:, first])[:, :, None, None]
    apart = places - corners[:, first][:, :, None, None]
    turn = along[..., 0] * apart[..., 1] - along[..., 1] * apart[..., 0]
    inside = torch.zeros_like(far, dtype=torch.bool)
    for a, b, c in combinations(range(4), 3):
        turns = turn[:, [pairs.index((a, b)), pairs.index((b, c)), pairs.index((a, c))]]
        turns = turns * torch.tensor([1.0, 1.0, -1.0])[:, None, None]
        inside = inside | (turns >= 0).all(1) | (turns <= 0).all(1)
    return torch.where(inside, 0.0, far)


def transforms_of(
    target: Bodies, source: Bodies, size: Float[Tensor, ""]
) -> Float[Tensor, "b n 2 3"]:
    """As `body_parts.part_transform`, of all parts."""
    limbs = _similarities(target.ends[:, 1:], source.ends[:, 1:], _SHORTEST * size)
    torso = _affine(target.corners, source.corners, _STEADY * size)
    return torch.cat([torso[:, None], limbs], 1)


def _similarities(
    target: Float[Tensor, "b n 2 2"], source: Float[Tensor, "b n 2 2"], shortest: Float[Tensor, ""]
) -> Float[Tensor, "b n 2 3"]:
    (along, length), (wanted, wanted_length) = _direction(source), _direction(target)
    stretch = torch.maximum(length, shortest) / torch.maximum(wanted_length, shortest)
    stretch = stretch.clamp(1 / MAX_STRETCH, MAX_STRETCH)[..., None]
    across, wanted_across = (torch.stack([-d[..., 1], d[..., 0]], -1) for d in (along, wanted))
    linear = stretch * along[..., :, None] * wanted[..., None, :]
    linear = linear + across[..., :, None] * wanted_across[..., None, :]
    shift = source[:, :, 0] - (linear @ target[:, :, 0, :, None])[..., 0]
    return torch.cat([linear, shift[..., None]], -1)


def _direction(ends: Float[Tensor, "b n 2 2"]) -> tuple[Tensor, Tensor]:
    along = ends[:, :, 1] - ends[:, :, 0]
    length = along.norm(dim=-1, keepdim=True)
    return along / length.clamp(min=1e-3), length


def _affine(
    target: Float[Tensor, "b 4 2"], source: Float[Tensor, "b 4 2"], steady: Float[Tensor, ""]
) -> Float[Tensor, "b 2 3"]:
    from_middle, to_middle = target.mean(1), source.mean(1)
    x, y = target - from_middle[:, None], source - to_middle[:, None]
    turn = torch.stack(
        [(x * y).sum((1, 2)), (x[..., 0] * y[..., 1] - x[..., 1] * y[..., 0]).sum(1)]
    )
    cosine, sine = turn / (x.square().sum((1, 2)) + 1e-6)
    similarity = torch.stack([cosine, -sine, sine, cosine], -1).unflatten(-1, (2, 2))
    weight = steady.square()
    spread = x.transpose(1, 2) @ x + weight * torch.eye(2)
    a, b, d = spread[:, 0, 0], spread[:, 0, 1], spread[:, 1, 1]
    inverse = torch.stack([d, -b, -b, a], -1).unflatten(-1, (2, 2)) / (a * d - b * b)[:, None, None]
    linear = _without_smear((y.transpose(1, 2) @ x + weight * similarity) @ inverse)
    shift = to_middle - (linear @ from_middle[..., None])[..., 0]
    return torch.cat([linear, shift[..., None]], -1)


def _without_smear(linear: Float[Tensor, "b 2 2"]) -> Float[Tensor, "b 2 2"]:
    """As `body_parts._without_smear`."""
    a, b, c, d = linear.flatten(1).unbind(1)
    turning = torch.stack([a + d, b - c, c - b, a + d], -1).unflatten(-1, (2, 2)) / 2
    turn = ((a + d).square() + (c - b).square()).sqrt() / 2
    mirror = ((a - d).square() + (b + c).square()).sqrt() / 2
    more = turn.clamp(min=LEAST_TORSO) / turn.clamp(min=1e-9)
    less = torch.minimum(mirror, (turn - LEAST_TORSO).clamp(min=0)) / mirror.clamp(min=1e-9)
    return more[:, None, None] * turning + less[:, None, None] * (linear - turning)


def movement(pose: Bodies, last: Bodies) -> Float[Tensor, "b n"]:
    """As `layers._movement`, before a still camera."""
    moved = (pose.ends - last.ends).abs().amax((2, 3))
    moved = torch.where(pose.known != last.known, HUGE, moved)
    return torch.where(pose.known | last.known, moved, 0.0)


def each_parts(seen: Bodies, sources: Int[Tensor, "b n"]) -> Bodies:
    """Each part from its own seen frame."""
    taken, parts = sources.clamp(min=0), torch.arange(len(PARTS))
    return Bodies(seen.ends[taken, parts], seen.corners[taken[:, TORSO]], sources >= 0)


def places_of(side: int) -> Float[Tensor, "{side} {side} 2"]:
    """The middles of the pixels of a square picture, (x, y)."""
    at = torch.arange(side) + 0.5
    return torch.stack(torch.meshgrid(at, at, indexing="xy"), -1)


def blurred(values: Float[Tensor, "b c c"], sigma: float) -> Float[Tensor, "b c c"]:
    """As OpenCV's GaussianBlur of numbers, at its own choice of reach."""
    reach = (round(sigma * 8 + 1) | 1) // 2
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    weights = weights / weights.sum()
    values = functional.pad(values[:, None], (reach, reach, reach, reach), mode="reflect")
    values = functional.conv2d(values, weights[None, None, :, None])
    return functional.conv2d(values, weights[None, None, None])[:, 0]
