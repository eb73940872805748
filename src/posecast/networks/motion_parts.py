"""What the motion network is put together from: layers that begin as nothing, and numbers that are
said at a few points in time."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from posecast.motion.basis import HORIZON
from posecast.networks.motion_values import NUM_FACTS

KNOTS = 6
"""Points in time, warped as the basis, between which trust and spread are interpolated."""
SMALL = 32
"""Units of networks of few weights."""
_GOING = 3.0
"""Logit of how much of the way to go before training."""


class Dropout(nn.Module):
    """As `nn.Dropout`, with the share as a tensor, so that stacked networks may differ in it."""

    share: Tensor

    def __init__(self, share: float) -> None:
        super().__init__()
        self.register_buffer("share", torch.tensor(share), persistent=False)

    def forward(self, values: Float[Tensor, "b w"]) -> Float[Tensor, "b w"]:
        if not self.training:
            return values
        return values * (torch.rand_like(values) >= self.share) / (1 - self.share)


class Block(nn.Module):
    """A residual block of two layers, which adds nothing before training."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first, self.second = nn.Linear(width, width), zero(nn.Linear(width, width))
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Float[Tensor, "b w"]) -> Float[Tensor, "b w"]:
        change = self.second(functional.gelu(self.first(self.norm(hidden))))
        return hidden + self.dropout(change)


def how_far_apart(
    cautious: Float[Tensor, "b t j 2"], bold: Float[Tensor, "b t j 2"], at: Int[Tensor, " k"]
) -> Float[Tensor, "b k"]:
    """Logarithm of the mean distance of two forecasts."""
    distance = ((bold - cautious).detach().square().sum(-1) + 1e-8).sqrt().mean(-1)
    return torch.log(distance[:, at] + 1e-3) / 3


def over_time(
    cosines: Float[Tensor, "b m j 2"], basis: Float[Tensor, "t m"]
) -> Float[Tensor, "b t j 2"]:
    """The sum of cosines, at the times of the basis."""
    return (basis @ cosines.float().flatten(2)).unflatten(2, cosines.shape[2:])


def between_knots() -> Float[Tensor, "k t"]:
    """Weights of the knots in every frame."""
    places = (np.arange(1, HORIZON + 1) / HORIZON) ** 0.5 * (KNOTS - 1)
    weights = np.maximum(1 - np.abs(places - np.arange(KNOTS)[:, None]), 0)
    return torch.from_numpy(weights.astype(np.float32))


def small(inputs: int, outputs: int) -> nn.Sequential:
    """A network of few weights that says 0 before training."""
    return nn.Sequential(nn.Linear(inputs, SMALL), nn.GELU(), zero(nn.Linear(SMALL, outputs)))


def trust_head(reads_trimmed: bool) -> nn.Sequential:
    """What says how far to go, see `how_far`, by the facts and how far both forecasts are apart."""
    return small(NUM_FACTS + KNOTS + reads_trimmed, (1 + reads_trimmed) * KNOTS)


def how_far(
    said: Float[Tensor, "b o"], knots: Float[Tensor, "k t"], held: Float[Tensor, ""]
) -> tuple[Float[Tensor, "b t"], Float[Tensor, "b t"]]:
    """What is said, over time: how far to go from the cautious forecast to the bold one (all the
    way where not `held`), and how much of that way from the last pose (all where it is not said).
    """
    trust, going = said[:, :KNOTS] + 1, said[:, KNOTS:] + _GOING
    trust = 1 - (1 - torch.sigmoid(trust) @ knots) * held
    if not going.shape[1]:
        return trust, torch.ones_like(trust)
    return trust, 1 - (1 - torch.sigmoid(going) @ knots) * held


def zero(layer: nn.Linear) -> nn.Linear:
    """The layer, saying 0."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
