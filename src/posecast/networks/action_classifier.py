"""Two small networks that name the action: of a pose sequence, and of optical flow.

They judge forecasts (the paper's recognition test) and are part of no forecast. Both are trained
on what really happened.
"""

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from posecast.records.configs import check_at_least, check_below_one


@dataclass(frozen=True)
class PoseClassifierConfig:
    """Size of the classifier of pose sequences."""

    num_joints: int = 13
    num_actions: int = 8
    width: int = 128
    """Channels of the temporal convolutions."""
    dropout: float = 0.3

    def __post_init__(self) -> None:
        check_at_least(1, self, "num_joints", "num_actions", "width")
        check_below_one(self, "dropout")


class PoseClassifier(nn.Module):
    """Temporal convolutions over a pose sequence of any length, averaged over time.

    Poses are centred and scaled by the visible joints of the whole sequence, so that neither
    place nor size of the person tells the action.
    """

    def __init__(self, config: PoseClassifierConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        channels = [5 * config.num_joints, width, width, width]
        self.layers = nn.ModuleList(
            nn.Conv1d(before, after, 5, padding=2) for before, after in itertools.pairwise(channels)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in self.layers)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(2 * width, config.num_actions)

    def forward(
        self, joints: Float[Tensor, "b t j 2"], visible: Bool[Tensor, "b t j"]
    ) -> Float[Tensor, "b a"]:
        """Logits; frames without any visible joint (padding) are not looked at."""
        x = self._describe(joints, visible).transpose(1, 2)
        exists = visible.any(dim=2)[:, None].to(x.dtype)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            # Normalised frame by frame, so that padding cannot be felt.
            x = norm(layer(x).transpose(1, 2)).transpose(1, 2)
            x = self.dropout(torch.relu(x)) * exists
        mean = x.sum(dim=2) / exists.sum(dim=2).clamp(min=1)
        return self.head(torch.cat([mean, x.amax(dim=2)], dim=1))

    def _describe(
        self, joints: Float[Tensor, "b t j 2"], visible: Bool[Tensor, "b t j"]
    ) -> Float[Tensor, "b t f"]:
        """Place, movement since the frame before, visibility of each joint."""
        shown = visible[..., None].to(joints.dtype)
        joints = joints.masked_fill(~visible[..., None], 0)
        count = shown.sum(dim=(1, 2), keepdim=True).clamp(min=1)
        centre = (joints * shown).sum(dim=(1, 2), keepdim=True) / count
        offset = (joints - centre) * shown
        size = (offset.square().sum(dim=(1, 2, 3), keepdim=True) / count[..., :1]).sqrt()
        place = offset / size.clamp(min=1e-3)
        moved = torch.zeros_like(place)
        moved[:, 1:] = (place[:, 1:] - place[:, :-1]) * shown[:, 1:] * shown[:, :-1]
        # Movement is a few hundredths of the size a frame.
        features = torch.cat([place, 10 * moved, shown], dim=-1)
        return features.flatten(start_dim=2)


@dataclass(frozen=True)
class FlowClassifierConfig:
    """Size of the classifier of optical flow."""

    num_flows: int = 10
    """Flow fields it sees at once (two-stream networks: 10)."""
    num_actions: int = 8
    width: int = 32
    """Channels after the first convolution."""
    dropout: float = 0.3

    def __post_init__(self) -> None:
        check_at_least(1, self, "num_flows", "num_actions", "width")
        check_below_one(self, "dropout")


class FlowClassifier(nn.Module):
    """The temporal stream of two-stream networks (Simonyan and Zisserman, 2014), small."""

    def __init__(self, config: FlowClassifierConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        channels = [2 * config.num_flows, width, 2 * width, 4 * width, 4 * width]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(channels):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after)]
            layers += [nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(channels[-1], config.num_actions)

    def forward(self, flows: Float[Tensor, "b f h w 2"]) -> Float[Tensor, "b a"]:
        """Logits. `flows` in pixels of the frame, from each frame to the one before it."""
        x = flows.permute(0, 1, 4, 2, 3).flatten(start_dim=1, end_dim=2)
        features = self.layers(x)
        return self.head(self.dropout(features.mean(dim=(2, 3))))
