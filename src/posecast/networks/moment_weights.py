"""What each earlier moment of one's own past counts at each time ahead, learned.

The moments that `motion.recall` finds, also in the motion played backwards, are compared with the
last seen frame once more: poses and velocities, with shorter and longer memories. A network too
small to know anybody makes of that what each of them counts, for every part of the body by itself:
somebody steps evenly and waves now and then. The same code serves forecasts, training and exported
graphs.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from posecast.motion.basis import HORIZON
from posecast.motion.recall import Moments
from posecast.skeletons import Skeleton

KNOTS = (1, 2, 4, 8, 16, 32, 64)
"""Frames ahead for which moments are weighed; between them weights are interpolated."""
_MEMORIES = (0.6, 0.9, 0.97)
_BACK = 64
"""Frames up to a moment that are compared."""
_STRIDES = (4, 1)
"""Frames that velocities are taken over."""
_SPEED_STRIDES = (4, 16)
"""Frames that speeds are taken over."""
_SPEED_WEIGHT = 4.0
_NUM_COMPARED = 2 * (1 + len(_STRIDES)) * len(_MEMORIES)
_SMALL, _SHARPNESS, _LARGEST_FACT = 32, 3.0, 4.0
Parts = tuple[tuple[str, tuple[int, ...]], ...]
"""As `Skeleton.parts`; none: the whole body is weighed as one, and its speed is not looked at."""


class MomentWeights(nn.Module):
    """Weighs the moments of seen motions, for each part of the body, or, as networks from before
    there were parts do, where no skeleton is given, for the whole of it."""

    between: Tensor
    usual: Tensor
    kinds: Tensor
    part_of: Tensor

    def __init__(self, skeleton: Skeleton | None = None) -> None:
        super().__init__()
        self.parts: Parts = skeleton.parts if skeleton else ()
        self._num_whole = _NUM_COMPARED + 4 + (3 * len(_SPEED_STRIDES) if skeleton else 0)
        num_facts = self._num_whole + (_NUM_COMPARED if skeleton else 0)
        names = sorted({kind for kind, _ in self.parts})
        kinds = torch.tensor([[float(kind == name) for name in names] for kind, _ in self.parts])
        part_of = torch.zeros(skeleton.num_joints if skeleton else 1, dtype=torch.long)
        for number, (_, joints) in enumerate(self.parts):
            part_of[list(joints)] = number
        wide = num_facts + len(names)
        layers = (nn.Linear(wide, _SMALL), nn.GELU(), nn.Linear(_SMALL, _SMALL), nn.GELU())
        self.weigh = nn.Sequential(*layers, nn.Linear(_SMALL, len(KNOTS)))
        off = np.log2(np.arange(1, HORIZON + 1)) - np.arange(len(KNOTS))[:, None]
        between = np.maximum(1 - np.abs(off), 0).astype(np.float32)
        self.register_buffer("between", torch.from_numpy(between), persistent=False)
        self.register_buffer("kinds", kinds, persistent=False)
        self.register_buffer("part_of", part_of, persistent=False)
        # Mean and deviation of each fact in training.
        self.register_buffer("usual", torch.tensor([[0.0], [1.0]]).repeat(1, num_facts))

    def forward(
        self,
        poses: Float[Tensor, "b p j 2"],
        moments: Int[Tensor, "b n"],
        misfits: Float[Tensor, "b n"],
        counted: Bool[Tensor, "b n"],
        turned: Bool[Tensor, "b n"],
    ) -> Float[Tensor, "b n t q"]:
        """Weights of `Moments` over the horizon, for each joint, or one for all; 0 where
        they are not `counted`."""
        facts = moment_facts(poses, moments, misfits, counted, turned, self.parts)
        return (self.at_knots(facts, counted).transpose(2, 3) @ self.between).transpose(2, 3)

    @torch.inference_mode()
    def of_one(self, found: Moments) -> Float[np.ndarray, "n t q"]:
        """As `own_past.Weigh`, `forward` of one motion."""
        tensors = (each.to(self.usual.device) for each in as_batch(found))
        return self(*tensors)[0].cpu().numpy()

    def at_knots(
        self, facts: Float[Tensor, "b n f"], counted: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n k q"]:
        """Weights at `KNOTS`. At the last one turned moments do not count: most people go back
        within a second, but some stay."""
        turned = facts[..., self._num_whole - 1, None, None] > 0
        logits = self.weigh(self._inputs(facts)) * _SHARPNESS
        is_last = torch.arange(len(KNOTS), device=facts.device) == len(KNOTS) - 1
        out = ~counted[..., None, None] | (turned & is_last)
        shares = logits.masked_fill(out, -1e9).softmax(dim=1)
        return shares[:, :, self.part_of].transpose(2, 3)

    def usual_of(self, facts: Float[Tensor, "r f"]) -> Float[Tensor, "2 u"]:
        """What `usual` is to be where these are all: of all parts alike."""
        whole, each = facts[:, : self._num_whole], facts[:, self._num_whole :]
        of_part = each.unflatten(1, (len(self.parts), -1)).flatten(0, 1) if self.parts else each
        both = [torch.stack([x.mean(dim=0), x.std(dim=0) + 1e-6]) for x in (whole, of_part)]
        return torch.cat(both, dim=1)

    def _inputs(self, facts: Float[Tensor, "b n f"]) -> Float[Tensor, "b n q i"]:
        """Facts of each part, those of the whole first, as the network reads them."""
        read, each = facts[..., None, : self._num_whole], facts[..., self._num_whole :]
        if self.parts:
            each = each.unflatten(2, (len(self.parts), -1))
            read = torch.cat([read.expand(-1, -1, len(self.parts), -1), each], dim=3)
        read = ((read - self.usual[0]) / self.usual[1]).clamp(-_LARGEST_FACT, _LARGEST_FACT)
        kinds = self.kinds.expand(*read.shape[:2], -1, -1) if self.parts else read[..., :0]
        return torch.cat([read, kinds], dim=3)


def as_batch(found: Moments) -> tuple[Tensor, ...]:
    """One motion, as `moment_facts` reads many."""
    arrays = (found.poses, found.frames, found.misfits, found.counted, found.turned)
    return tuple(torch.from_numpy(each)[None] for each in arrays)


def moment_facts(
    poses: Float[Tensor, "b p j 2"],
    moments: Int[Tensor, "b n"],
    misfits: Float[Tensor, "b n"],
    counted: Bool[Tensor, "b n"],
    turned: Bool[Tensor, "b n"],
    parts: Parts = (),
) -> Float[Tensor, "b n f"]:
    """How far each moment is from the last seen frame in poses and velocities, by itself and beside
    the other moments; where there are parts, its speed beside that of now; how long it goes on from
    there, how far the body has gone since, its misfit beside the best one's, and whether it is
    turned. Then of each part how far it is, by itself and beside the other moments. Poses are in
    sizes of the body."""
    groups = [list(joints) for _, joints in parts] or [list(range(poses.shape[2]))]
    squares = _squares(poses, moments, turned, groups)
    whole = _logarithms(torch.stack(squares).sum(dim=0) / poses.shape[2], counted)
    speeds = [_speeds(poses, moments, turned)] if parts else []
    left = poses.shape[1] - 1 - moments
    middle = poses.mean(dim=2)
    places = torch.where(turned, left, moments)[..., None].expand(-1, -1, 2)
    gone = (middle.gather(1, places) - middle[:, -1:]).norm(dim=-1)
    best = misfits.masked_fill(~counted, 1e9).amin(dim=1, keepdim=True)
    worse = torch.log((misfits + 1e-5) / (best + 1e-5))
    left = torch.log(left.clamp(min=1).float())
    facts = torch.stack([left, gone, worse, turned.float()], dim=2)
    pairs = zip(squares, groups, strict=True) if parts else ()
    of_parts = [_logarithms(each / len(joints), counted) for each, joints in pairs]
    return torch.cat([whole, *speeds, facts, *of_parts], dim=2)


def _squares(
    poses: Float[Tensor, "b p j 2"],
    moments: Int[Tensor, "b n"],
    turned: Bool[Tensor, "b n"],
    groups: list[list[int]],
) -> list[Float[Tensor, "b n m"]]:
    """Squared differences from the last frame, summed over the joints of each group."""
    count, last, device = poses.shape[1], poses.shape[1] - 1, poses.device
    back = torch.arange(_BACK, device=device)
    frames = moments[:, None] - back[:, None]
    columns = frames.clamp(min=0)
    columns = torch.where(turned[:, None], columns + count, columns)
    memory = torch.tensor(_MEMORIES, device=device)[:, None] ** back
    far: list[list[Tensor]] = [[] for _ in groups]
    for stride, features, backwards in _compared(poses):
        recent = features[:, (last - back).clamp(min=0)]
        both = torch.cat([features, backwards], dim=1)
        there = (frames >= stride).float()
        known = (memory @ there).clamp(min=1e-6)
        for found, joints in zip(far, groups, strict=True):
            along = _apart(recent[:, :, joints], both[:, :, joints], columns) * there
            found.append(memory @ along / known)
    return [torch.cat(each, dim=1).transpose(1, 2) for each in far]


def _apart(
    recent: Float[Tensor, "b k j 2"], both: Float[Tensor, "b q j 2"], columns: Int[Tensor, "b k n"]
) -> Float[Tensor, "b k n"]:
    """Squared differences of the latest frames from others, summed over the joints."""
    recent, both = recent.flatten(2), both.flatten(2)
    squares, recents = both.square().sum(dim=2), recent.square().sum(dim=2)
    product = (2 * recent @ both.transpose(1, 2)).gather(2, columns)
    squares = squares[:, None].expand(-1, columns.shape[1], -1).gather(2, columns)
    return (squares + recents[..., None] - product).clamp(min=0)


def _logarithms(
    squares: Float[Tensor, "b n m"], counted: Bool[Tensor, "b n"]
) -> Float[Tensor, "b n 2*m"]:
    """By themselves, and beside their means over the moments that count."""
    logs, shown = torch.log(squares + 1e-4), counted[..., None].float()
    mean = (logs * shown).sum(dim=1, keepdim=True) / shown.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.cat([logs, logs - mean], dim=2)


def _speeds(
    poses: Float[Tensor, "b p j 2"], moments: Int[Tensor, "b n"], turned: Bool[Tensor, "b n"]
) -> Float[Tensor, "b n f"]:
    """Logarithms of each moment's speed over that of now and of that of now, and how alike their
    velocities point."""
    count, device = poses.shape[1], poses.device
    flat = torch.cat([poses, poses.flip(1)], dim=1).flatten(2)

    def at(frames: Tensor) -> Float[Tensor, "b n d"]:
        columns = frames.clamp(min=0)
        columns = torch.where(turned, columns + count, columns)[..., None]
        return flat.gather(1, columns.expand(-1, -1, flat.shape[2]))

    found = []
    for stride in _SPEED_STRIDES:
        latest = flat[:, (count - 1 - torch.tensor([0, stride], device=device)).clamp(min=0)]
        then, now = at(moments) - at(moments - stride), latest[:, :1] - latest[:, 1:]
        was, is_now = (each.square().sum(dim=2) / poses.shape[2] for each in (then, now))
        alike = (then * now).sum(dim=2) / poses.shape[2] / ((was * is_now).sqrt() + 1e-4)
        ratio = torch.log((was + 1e-4) / (is_now + 1e-4)) / 2
        found += [ratio, torch.log(is_now + 1e-4).expand_as(was) / 2, alike]
    return torch.stack(found, dim=2)


def _compared(
    poses: Float[Tensor, "b p j 2"],
) -> list[tuple[int, Float[Tensor, "b p j 2"], Float[Tensor, "b p j 2"]]]:
    """Poses about their mean joint, and velocities; from which frame on there are any, forwards and
    played backwards."""
    frames = torch.arange(poses.shape[1], device=poses.device)
    centred = poses - poses.mean(dim=2, keepdim=True)
    found = [(0, centred, centred.flip(1))]
    for stride in _STRIDES:
        earlier, scale = (frames - stride).clamp(min=0), _SPEED_WEIGHT / stride
        forwards, backwards = ((each - each[:, earlier]) * scale for each in (poses, poses.flip(1)))
        found.append((stride, forwards, backwards))
    return found
