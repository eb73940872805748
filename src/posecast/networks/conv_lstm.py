"""The ConvLSTM baseline: forecasts frames from frames, feeding its own ones back in.

Shi et al., 2015, in the form of the paper's pixel baseline: convolutions down to a quarter of the
side, convolutional LSTM layers, transposed convolutions back up. Future frames are drawn one after
the other, each from the one before, so errors add up: what the hierarchical forecast avoids.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from posecast.errors import PosecastError
from posecast.records.configs import check_at_least, check_multiple


@dataclass(frozen=True)
class ConvLSTMConfig:
    """Size of the ConvLSTM baseline."""

    width: int = 64
    """Channels of the LSTM layers; the encoder begins with half of them."""
    layers: int = 2
    """ConvLSTM layers, one above the other."""
    kernel: int = 5
    """Side of the LSTM's kernels, odd."""
    size: int = 128
    """Side of the frames it is trained on, a multiple of 4."""

    def __post_init__(self) -> None:
        check_at_least(2, self, "width")
        check_at_least(1, self, "layers", "kernel")
        check_multiple(4, self, "size")
        if self.kernel % 2 == 0:
            raise PosecastError(f"kernel is {self.kernel}; it must be odd")


State = list[tuple[Tensor, Tensor]]


class ConvLSTM(nn.Module):
    """Seen frames in, any number of future frames out; pictures in [-1, 1]."""

    def __init__(self, config: ConvLSTMConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width // 2, 5, stride=2, padding=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(width // 2, width, 5, stride=2, padding=2),
            nn.ReLU(inplace=True),
        )
        self.cells = nn.ModuleList(_Cell(width, config.kernel) for _ in range(config.layers))
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width // 2, 3, 4, stride=2, padding=1),
        )

    def forward(self, past: Float[Tensor, "b p 3 h w"], steps: int) -> Float[Tensor, "b f 3 h w"]:
        """Forecast `steps` frames after the seen ones; each is the frame before plus a change."""
        state: State = []
        frame, drawn = past[:, 0], []
        for number in range(past.shape[1] + steps - 1):
            frame = past[:, number] if number < past.shape[1] else drawn[-1]
            hidden, state = self._step(self.encoder(frame), state)
            if number >= past.shape[1] - 1:
                change = self.decoder(hidden).to(frame.dtype)
                drawn.append((frame + change).clamp(-1, 1))
        return torch.stack(drawn, dim=1)

    def _step(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """One time step through all layers; an empty state is all zeros."""
        after: State = []
        for layer, cell in enumerate(self.cells):
            before = state[layer] if state else (torch.zeros_like(features),) * 2
            features, memory = cell(features, *before)
            after.append((features, memory))
        return features, after


class _Cell(nn.Module):
    """LSTM whose products are convolutions; forget bias 1."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(2 * width, 4 * width, kernel, padding=kernel // 2)
        nn.init.zeros_(self.gates.bias)  # pyright: ignore[reportArgumentType]

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        hidden: Float[Tensor, "b c h w"],
        memory: Float[Tensor, "b c h w"],
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]:
        """Next hidden state and memory."""
        new, keep, write, show = self.gates(torch.cat([x, hidden], dim=1)).chunk(4, dim=1)
        memory = torch.sigmoid(keep + 1) * memory + torch.sigmoid(write) * torch.tanh(new)
        return torch.sigmoid(show) * torch.tanh(memory), memory
