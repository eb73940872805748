"""Two published pose forecasters, written anew from their papers for poses in the image.

- siMLPe: W. Guo et al., "Back to MLP: A Simple Baseline for Human Motion Prediction", WACV 2023.
- Motion attention: W. Mao et al., "History Repeats Itself: Human Motion Prediction via Motion
  Attention", ECCV 2020.

Both read poses in body sizes, the mean joint of the last one at 0, and say where joints will be.
There bodies stood still in the room and were forecast 25 frames ahead; here people go about, and
64 frames ahead are asked. So subsequences of the past are each taken relative to their own last
seen frame, and both forecast all frames at once.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from posecast.motion.basis import HORIZON

RECENT, COSINES = 10, 32
"""Frames that motion attention compares, and coefficients of those and what comes that it keeps."""


def cosines(count: int, kept: int) -> Float[Tensor, "kept count"]:
    """The discrete cosine transform's first rows."""
    at = (np.arange(count) + 0.5) / count
    rows = np.cos(np.pi * np.arange(kept)[:, None] * at) * np.sqrt(2 / count)
    rows[0] /= np.sqrt(2)
    return torch.from_numpy(rows.astype(np.float32))


class _OverTime(nn.Module):
    def __init__(self, frames: int, channels: int) -> None:
        super().__init__()
        self.mix, self.norm = nn.Linear(frames, frames), nn.LayerNorm(channels)

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        return x + self.norm(self.mix(x.mT).mT)


class SiMLPe(nn.Module):
    """Linear layers over time and over joints, in cosines of time."""

    past = HORIZON
    cosines: Tensor

    def __init__(self, joints: int, blocks: int = 48) -> None:
        super().__init__()
        self.register_buffer("cosines", cosines(self.past, self.past))
        channels = 2 * joints
        self.first, self.last = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.blocks = nn.Sequential(*(_OverTime(self.past, channels) for _ in range(blocks)))
        nn.init.xavier_uniform_(self.last.weight, gain=1e-8)
        nn.init.zeros_(self.last.bias)

    def forward(
        self, past: Float[Tensor, "b t j 2"], seen: Float[Tensor, " b"]
    ) -> Float[Tensor, "b f j 2"]:
        waves = self.last(self.blocks(self.first(self.cosines @ past.flatten(2))))
        return past[:, -1:] + (self.cosines.T @ waves).unflatten(2, past.shape[2:])


class _GraphLayer(nn.Module):
    def __init__(self, nodes: int, width_in: int, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width_in, width)
        self.graph = nn.Parameter(torch.empty(nodes, nodes).uniform_(-1, 1) / nodes**0.5)
        self.norm = nn.BatchNorm1d(nodes * width)

    def forward(self, x: Float[Tensor, "b n w"]) -> Float[Tensor, "b n v"]:
        x = self.graph @ self.dense(x)
        x = self.norm(x.flatten(1)).view_as(x)
        return nn.functional.dropout(torch.tanh(x), 0.3, self.training)


class MotionAttention(nn.Module):
    """What followed moments of the past that look like now, corrected by graph convolutions."""

    past = 240
    cosines: Tensor

    def __init__(self, joints: int, width: int = 128, blocks: int = 12) -> None:
        super().__init__()
        nodes = 2 * joints
        self.register_buffer("cosines", cosines(RECENT + HORIZON, COSINES))
        self.query, self.key = (self._compared(nodes, width) for _ in range(2))
        self.first = _GraphLayer(nodes, 2 * COSINES, width)
        pairs = [[_GraphLayer(nodes, width, width) for _ in range(2)] for _ in range(blocks)]
        self.blocks = nn.ModuleList(nn.Sequential(*pair) for pair in pairs)
        self.graph = nn.Parameter(torch.empty(nodes, nodes).uniform_(-1, 1) / nodes**0.5)
        self.last = nn.Linear(width, COSINES)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    @staticmethod
    def _compared(nodes: int, width: int) -> nn.Sequential:
        first, second = nn.Conv1d(nodes, width, 6), nn.Conv1d(width, width, 5)
        return nn.Sequential(first, nn.ReLU(), second, nn.ReLU())

    def forward(
        self, past: Float[Tensor, "b t j 2"], seen: Float[Tensor, " b"]
    ) -> Float[Tensor, "b f j 2"]:
        now = past[:, -RECENT:].flatten(2)
        stays = torch.cat([now, now[:, -1:].expand(-1, HORIZON, -1)], dim=1)
        waves = (self.cosines @ stays).mT
        x = self.first(torch.cat([waves, self._recalled(past, seen)], dim=2))
        for block in self.blocks:
            x = x + block(x)
        waves = waves + self.graph @ self.last(x)
        return (waves @ self.cosines).mT[:, RECENT:].unflatten(2, past.shape[2:])

    def _recalled(
        self, past: Float[Tensor, "b t j 2"], seen: Float[Tensor, " b"]
    ) -> Float[Tensor, "b n k"]:
        """Cosines of the subsequences that begin like now, by how much they do."""
        whole = past.unfold(1, RECENT + HORIZON, 1)  # b m j 2 f
        last = whole[..., RECENT - 1 : RECENT]
        values = ((whole - last) @ self.cosines.T).flatten(2, 3)
        keys = (whole[..., :RECENT] - last.mean(dim=2, keepdim=True)).flatten(2, 3)
        now = past[:, -RECENT:] - past[:, -1:].mean(dim=2, keepdim=True)
        count = keys.shape[1]
        key = self.key(keys.flatten(0, 1)).view(len(past), count, -1)
        query = self.query(now.flatten(2).mT)
        likeness = (key @ query)[..., 0] * self._seen_whole(count, past.shape[1], seen)
        weight = likeness / (likeness.sum(dim=1, keepdim=True) + 1e-6)
        return torch.einsum("bm,bmnk->bnk", weight, values)

    @staticmethod
    def _seen_whole(count: int, frames: int, seen: Float[Tensor, " b"]) -> Bool[Tensor, "b m"]:
        return torch.arange(count, device=seen.device) >= frames - seen[:, None]
