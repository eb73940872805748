"""What each earlier moment of one's own past counts at each time ahead, learned.

The moments that `motion.own_past` finds, also in the motion played backwards, are compared with the
last seen frame once more: poses and velocities, with shorter and longer memories. A network too
small to know anybody makes of that what each of them counts. The same code serves forecasts,
training and exported graphs.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from posecast.motion.basis import HORIZON
from posecast.motion.own_past import Moments

KNOTS = (1, 2, 4, 8, 16, 32, 64)
"""Frames ahead for which moments are weighed; between them weights are interpolated."""
_MEMORIES = (0.6, 0.9, 0.97)
_BACK = 64
"""Frames up to a moment that are compared."""
_STRIDES = (4, 1)
"""Frames that velocities are taken over."""
_SPEED_WEIGHT = 4.0
_NUM_FACTS = 2 * (1 + len(_STRIDES)) * len(_MEMORIES) + 4
_SMALL, _SHARPNESS, _LARGEST_FACT = 32, 3.0, 4.0


class MomentWeights(nn.Module):
    """Weighs the moments of seen motions."""

    between: Tensor
    usual: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers = (nn.Linear(_NUM_FACTS, _SMALL), nn.GELU(), nn.Linear(_SMALL, _SMALL), nn.GELU())
        self.weigh = nn.Sequential(*layers, nn.Linear(_SMALL, len(KNOTS)))
        off = np.log2(np.arange(1, HORIZON + 1)) - np.arange(len(KNOTS))[:, None]
        between = np.maximum(1 - np.abs(off), 0).astype(np.float32)
        self.register_buffer("between", torch.from_numpy(between), persistent=False)
        # Mean and deviation of each fact in training.
        self.register_buffer("usual", torch.tensor([[0.0], [1.0]]).repeat(1, _NUM_FACTS))

    def forward(
        self,
        poses: Float[Tensor, "b p j 2"],
        moments: Int[Tensor, "b n"],
        misfits: Float[Tensor, "b n"],
        counted: Bool[Tensor, "b n"],
        turned: Bool[Tensor, "b n"],
    ) -> Float[Tensor, "b n t"]:
        """Weights of `own_past.Moments` over the horizon; 0 where they are not `counted`."""
        facts = moment_facts(poses, moments, misfits, counted, turned)
        return self.at_knots(facts, counted) @ self.between

    @torch.inference_mode()
    def of_one(self, found: Moments) -> Float[np.ndarray, "n t"]:
        """As `own_past.Weigh`, `forward` of one motion."""
        tensors = (each.to(self.usual.device) for each in as_batch(found))
        return self(*tensors)[0].cpu().numpy()

    def at_knots(
        self, facts: Float[Tensor, "b n f"], counted: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n k"]:
        """Weights at `KNOTS`. At the last one turned moments do not count: most people go back
        within a second, but some stay."""
        turned = facts[..., -1:] > 0
        facts = ((facts - self.usual[0]) / self.usual[1]).clamp(-_LARGEST_FACT, _LARGEST_FACT)
        logits = self.weigh(facts) * _SHARPNESS
        is_last = torch.arange(len(KNOTS), device=facts.device) == len(KNOTS) - 1
        out = ~counted[..., None] | (turned & is_last)
        return logits.masked_fill(out, -1e9).softmax(dim=1)


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
) -> Float[Tensor, "b n f"]:
    """How far each moment is from the last seen frame in poses and velocities, by itself and beside
    the other moments; how long it goes on from there, how far the body has gone since, its misfit
    beside the best one's, and whether it is turned. Poses are in sizes of the body."""
    count, last, device = poses.shape[1], poses.shape[1] - 1, poses.device
    back = torch.arange(_BACK, device=device)
    frames = moments[:, None] - back[:, None]
    columns = frames.clamp(min=0)
    columns = torch.where(turned[:, None], columns + count, columns)
    memory = torch.tensor(_MEMORIES, device=device)[:, None] ** back
    far = []
    for stride, features, backwards in _compared(poses):
        recent = features[:, (last - back).clamp(min=0)]
        both = torch.cat([features, backwards], dim=1)
        squares, recents = both.square().sum(dim=2), recent.square().sum(dim=2)
        product = (2 * recent @ both.transpose(1, 2)).gather(2, columns)
        squares = squares[:, None].expand(-1, len(back), -1).gather(2, columns)
        there = (frames >= stride).float()
        along = (squares + recents[..., None] - product).clamp(min=0) * there
        far.append(memory @ along / (memory @ there).clamp(min=1e-6) / poses.shape[2])
    logs = torch.log(torch.cat(far, dim=1).transpose(1, 2) + 1e-4)
    shown = counted[..., None].float()
    mean = (logs * shown).sum(dim=1, keepdim=True) / shown.sum(dim=1, keepdim=True).clamp(min=1)
    left = last - moments
    middle = poses.mean(dim=2)
    places = torch.where(turned, left, moments)[..., None].expand(-1, -1, 2)
    gone = (middle.gather(1, places) - middle[:, -1:]).norm(dim=-1)
    best = misfits.masked_fill(~counted, 1e9).amin(dim=1, keepdim=True)
    worse = torch.log((misfits + 1e-5) / (best + 1e-5))
    left = torch.log(left.clamp(min=1).float())
    facts = torch.stack([left, gone, worse, turned.float()], dim=2)
    return torch.cat([logs, logs - mean, facts], dim=2)


def _compared(
    poses: Float[Tensor, "b p j 2"],
) -> list[tuple[int, Float[Tensor, "b p d"], Float[Tensor, "b p d"]]]:
    """Poses about their mean joint, and velocities; from which frame on there are any, forwards and
    played backwards."""
    frames = torch.arange(poses.shape[1], device=poses.device)
    centred = (poses - poses.mean(dim=2, keepdim=True)).flatten(2)
    found = [(0, centred, centred.flip(1))]
    for stride in _STRIDES:
        earlier, scale = (frames - stride).clamp(min=0), _SPEED_WEIGHT / stride
        both = (poses.flatten(2), poses.flatten(2).flip(1))
        forwards, backwards = ((flat - flat[:, earlier]) * scale for flat in both)
        found.append((stride, forwards, backwards))
    return found
