"""The loss of the motion network: distances of its three forecasts, and of what it says of them.

Everything is a sum over rows with weights, nothing depends on how many rows are of which kind, so
that several networks can be trained side by side.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from posecast.networks.motion_residual import QUANTILES
from posecast.networks.motion_values import MotionOutputs, trusted
from posecast.training.motion_batches import MotionBatch
from posecast.training.motion_windows import FRAMES

_AHEAD = np.array(FRAMES) + 1
_USUAL_ERROR = np.interp(_AHEAD, (1, 2, 4, 8, 16, 32, 64), (1.0, 1.75, 3.4, 6.0, 9.5, 13.5, 18.0))
"""Of the last pose on Penn Action, in % of the box: frames count by how much there is to gain."""


@dataclass(frozen=True)
class MotionLossConfig:
    """What the parts of the loss weigh."""

    action_weight: float = 0.05
    """Of telling actions apart."""
    spread_weight: float = 0.15
    """Of saying how far off the forecast may be."""
    regret: float = 0.5
    """How much more an error in videos counts, for caution and trust, where the last pose would
    have been nearer: in doubt, one stays."""
    near_weight: float = 0.3
    """Power of the time ahead by which far frames count less."""


class MotionLoss:
    """Loss of a batch: bold forecasts of known people, caution of all, trust of unknown ones."""

    def __init__(self, config: MotionLossConfig, device: torch.device | None = None) -> None:
        self._config = config
        weights = np.diff(_AHEAD, prepend=0) / (_USUAL_ERROR * _AHEAD**config.near_weight)
        self.weights = torch.tensor(weights / weights.mean() * 100).float().to(device)
        """Of each frame that is looked at."""
        self.regret = torch.tensor(config.regret, device=device)
        self.frames = torch.tensor(FRAMES, device=device)
        """Of the horizon, that are looked at."""

    def __call__(
        self, said: MotionOutputs, batch: MotionBatch
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        terms = self.terms(said, batch, self.weights, self.regret)
        loss = torch.stack(list(terms.values())).sum()
        return loss, {"loss": loss.detach(), **{k: v.detach() for k, v in terms.items()}}

    def terms(
        self,
        said: MotionOutputs,
        batch: MotionBatch,
        weights: Float[Tensor, " f"],
        regret: Float[Tensor, ""],
    ) -> dict[str, Tensor]:
        """The parts of the loss, with these weights of frames and this regret."""
        known, unknown = batch.known, 1 - batch.known
        way = trusted(said.cautious.detach(), said.bold.detach(), said.trust, said.going)
        bold, cautious, moved = (_error(each, batch) for each in (said.bold, said.cautious, way))
        still = _error(torch.zeros_like(batch.future), batch)
        worse = regret * batch.video[:, None, None]

        def mean(error: Float[Tensor, "b f j"], rows: Float[Tensor, " b"]) -> Float[Tensor, ""]:
            shown = batch.future_visible * rows[:, None, None]
            return (error * shown * weights[None, :, None]).sum() / shown.sum().clamp_min(1)

        spread = _pinball(moved.detach(), said.log_radius, batch)
        terms = {
            "bold": mean(bold, known),
            "cautious": mean(cautious + worse * (cautious - still).clamp_min(0), known + unknown),
            # Of people whom the bold forecast does not know.
            "trust": mean(moved + worse * (moved - still).clamp_min(0), unknown),
            "spread": self._config.spread_weight * spread,
        }
        if said.action_logits.shape[-1]:
            terms["action"] = self._config.action_weight * _not_told(said.action_logits, batch)
        return terms


def _error(moved: Float[Tensor, "b f j 2"], batch: MotionBatch) -> Float[Tensor, "b f j"]:
    """Distances as shares of the box."""
    distance = ((moved - batch.future).square().sum(dim=-1) + 1e-8).sqrt()
    return distance * batch.scale[:, None, None]


def _not_told(logits: Float[Tensor, "b a"], batch: MotionBatch) -> Float[Tensor, ""]:
    """Cross entropy over known rows whose action somebody said."""
    rows = batch.known * (batch.action >= 0)
    told = logits.log_softmax(dim=-1).gather(1, batch.action.clamp_min(0)[:, None])
    each = -told[:, 0]
    return (each * rows).sum() / rows.sum().clamp_min(1)


def _pinball(
    error: Float[Tensor, "b f j"], log_radius: Float[Tensor, "b 2 f j"], batch: MotionBatch
) -> Float[Tensor, ""]:
    """Over unknown rows; least where the radii are the quantiles of the error."""
    distance = error / batch.scale[:, None, None]
    over = torch.log(distance.clamp_min(1e-4))[:, None] - log_radius
    levels = torch.stack([torch.full_like(over[:, 0], level) for level in QUANTILES], dim=1)
    shown = batch.future_visible * (1 - batch.known)[:, None, None]
    value = torch.maximum(levels * over, (levels - 1) * over) * shown[:, None]
    return value.sum() / shown.sum().clamp_min(1)
