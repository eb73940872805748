"""What each earlier moment of one's own past counts at each time ahead, learned.

The moments that `motion.own_past` finds are compared with the last seen frame once more: poses and
velocities, with shorter and longer memories. A network too small to know anybody makes of that what
each of them counts. The same code serves forecasts, training and exported graphs.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from posecast.motion.basis import HORIZON

KNOTS = (1, 2, 4, 8, 16, 32, 64)
"""Frames ahead for which moments are weighed; between them weights are interpolated."""
_MEMORIES = (0.6, 0.9, 0.97)
_BACK = 64
"""Frames up to a moment that are compared."""
_STRIDES = (4, 1)
"""Frames that velocities are taken over."""
_SPEED_WEIGHT = 4.0
_NUM_FACTS = 2 * (1 + len(_STRIDES)) * len(_MEMORIES) + 3
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
    ) -> Float[Tensor, "b n t"]:
        """Weights of moments, best first, over the horizon; 0 where they are not `counted`."""
        facts = moment_facts(poses, moments, misfits, counted)
        return self.at_knots(facts, counted) @ self.between

    @torch.inference_mode()
    def of_one(self, *arrays: np.ndarray) -> Float[np.ndarray, "n t"]:
        """As `own_past.Weigh`, `forward` of one motion."""
        tensors = (torch.from_numpy(each)[None].to(self.usual.device) for each in arrays)
        return self(*tensors)[0].cpu().numpy()

    def at_knots(
        self, facts: Float[Tensor, "b n f"], counted: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n k"]:
        """Weights at `KNOTS`."""
        facts = ((facts - self.usual[0]) / self.usual[1]).clamp(-_LARGEST_FACT, _LARGEST_FACT)
        logits = self.weigh(facts) * _SHARPNESS
        return logits.masked_fill(~counted[..., None], -1e9).softmax(dim=1)


def moment_facts(
    poses: Float[Tensor, "b p j 2"],
    moments: Int[Tensor, "b n"],
    misfits: Float[Tensor, "b n"],
    counted: Bool[Tensor, "b n"],
) -> Float[Tensor, "b n f"]:
    """How far each moment is from the last seen frame in poses and velocities, by itself and beside
    the other moments; how long ago it was, how far the body has gone since, and its misfit beside
    the best one's. Poses are in sizes of the body."""
    last, device = poses.shape[1] - 1, poses.device
    back = torch.arange(_BACK, device=device)
    frames = moments[:, None] - back[:, None]
    memory = torch.tensor(_MEMORIES, device=device)[:, None] ** back
    far = []
    for stride, features in _compared(poses):
        recent = features[:, (last - back).clamp(min=0)]
        squares, recents = features.square().sum(dim=2), recent.square().sum(dim=2)
        distances = squares[:, None] + recents[..., None] - 2 * recent @ features.transpose(1, 2)
        there = (frames >= stride).float()
        along = distances.clamp(min=0).gather(2, frames.clamp(min=0)) * there
        far.append(memory @ along / (memory @ there).clamp(min=1e-6) / poses.shape[2])
    logs = torch.log(torch.cat(far, dim=1).transpose(1, 2) + 1e-4)
    shown = counted[..., None].float()
    mean = (logs * shown).sum(dim=1, keepdim=True) / shown.sum(dim=1, keepdim=True).clamp(min=1)
    age = torch.log((last - moments).clamp(min=1).float())
    middle = poses.mean(dim=2)
    places = middle.gather(1, moments[..., None].expand(-1, -1, 2))
    gone = (places - middle[:, -1:]).norm(dim=-1)
    worse = torch.log((misfits + 1e-5) / (misfits[:, :1] + 1e-5))
    return torch.cat([logs, logs - mean, torch.stack([age, gone, worse], dim=2)], dim=2)


def _compared(poses: Float[Tensor, "b p j 2"]) -> list[tuple[int, Float[Tensor, "b p d"]]]:
    """Poses about their mean joint, and velocities; from which frame on there are any."""
    frames, flat = torch.arange(poses.shape[1], device=poses.device), poses.flatten(2)
    found = [(0, (poses - poses.mean(dim=2, keepdim=True)).flatten(2))]
    for stride in _STRIDES:
        moved = flat - flat[:, (frames - stride).clamp(min=0)]
        found.append((stride, moved * (_SPEED_WEIGHT / stride)))
    return found
