"""Many motion networks trained side by side as stacked weights."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from posecast.motion.neighbours import flip
from posecast.networks.motion_residual import MotionResidual, MotionResidualConfig
from posecast.networks.motion_values import MotionInputs
from posecast.training.motion_batches import MotionBatch, MotionBatches
from posecast.training.motion_loss import MotionLoss, MotionLossConfig
from posecast.training.motion_validation import shares_of_last_pose
from posecast.training.motion_windows import MotionWindows

MODEL = MotionResidualConfig(width=256, blocks=4, dropout=0.25, input_dropout=0.1)


@dataclass(frozen=True)
class Variant:
    """One network: its seed, and what it is trained without."""

    name: str
    seed: int = 0
    without: tuple[str, ...] = ()
    """Parts of `MotionResidualConfig`."""
    all_known: bool = False
    """Whether the bold forecast is trained on everybody from the beginning."""
    augmentation: float = 1.0
    mixed: float = 0.0
    """How far windows are mixed with others, 0 to 1."""
    action: float = 1.0
    regret: float = 0.5
    near: float = 0.3
    rate: float = 1.0
    """Factor of the learning rate."""
    dropout: float = MODEL.dropout
    input_dropout: float = MODEL.input_dropout
    decay: float = 0.1
    diet: str = ""
    """Name of the windows that it is trained on, where there are several."""
    fold: int = -1
    """Which clips it is not trained on; none."""

    def config(self, actions: tuple[str, ...]) -> MotionResidualConfig:
        parts = dict.fromkeys(self.without, False)
        drops = {"dropout": self.dropout, "input_dropout": self.input_dropout}
        return replace(MODEL, actions=actions, **drops, **parts)


@dataclass(frozen=True)
class Fit:
    """How all of them are fitted."""

    batch_size: int = 512
    rate: float = 2e-3
    clip_norm: float = 1.0
    average: float = 0.999


class Many:
    """Stacked networks, their optimiser and averages."""

    def __init__(
        self,
        variants: tuple[Variant, ...],
        actions: tuple[str, ...],
        draws: Sequence[tuple[int, MotionBatches]],
        fit: Fit,
        device: torch.device,
    ) -> None:
        self.variants, self.actions = variants, actions
        self._draws, self._fit, self._device = draws, fit, device
        networks = []
        for variant in variants:
            torch.manual_seed(variant.seed)
            networks.append(MotionResidual(variant.config(actions)))
        self.template = networks[0].to(device)
        params, self.buffers = stack_module_state([network.to(device) for network in networks])
        self.params = {name: value.detach().requires_grad_() for name, value in params.items()}
        self._first = {name: value.detach().clone() for name, value in params.items()}
        self.average = {name: value.detach().clone() for name, value in params.items()}
        self._moments = [[torch.zeros_like(value) for value in params.values()] for _ in range(2)]
        self.done = torch.zeros((), device=device)
        """Updates made."""
        self.rate = torch.tensor(fit.rate, device=device)
        self.together = torch.zeros((), device=device)
        """1 from when on the bold forecast is trained on everybody."""

        def column(name: str) -> Tensor:
            return torch.tensor([float(getattr(each, name)) for each in variants], device=device)

        self._of = {
            name: column(name)
            for name in ("augmentation", "mixed", "action", "all_known", "rate", "decay")
        }
        self._losses = [
            MotionLoss(MotionLossConfig(regret=each.regret, near_weight=each.near), device)
            for each in variants
        ]

    @torch.no_grad()
    def begin_again(self) -> None:
        """Weights as at the beginning."""
        for name, first in self._first.items():
            self.params[name].copy_(first)
            self.average[name].copy_(first)
        for moments in self._moments:
            for moment in moments:
                moment.zero_()
        self.done.zero_()

    def step(self) -> Tensor:
        """One update of all of them; the loss of each."""
        count = len(self.variants)
        batch = self._draw()
        if any(variant.mixed for variant in self.variants):
            batch = mixed(batch, self._of["mixed"])
        known = torch.maximum(batch.known.unflatten(0, (count, -1)), self._of["all_known"][:, None])
        batch = replace(batch, known=torch.maximum(known, self.together).flatten())
        inputs, *rest = (getattr(batch, each.name) for each in fields(MotionBatch))
        rows = [
            tuple(each.unflatten(0, (count, -1)) for each in values)
            for values in (vars(inputs).values(), rest)
        ]
        settings = [
            torch.stack([getattr(loss, name) for loss in self._losses])
            for name in ("weights", "regret")
        ]

        def one(params, buffers, inputs, rest, weights, regret, action) -> Any:
            inputs = MotionInputs(*inputs)
            said = functional_call(
                self.template, (params, buffers), (inputs, self._losses[0].frames)
            )
            loss = self._losses[0].terms(said, MotionBatch(inputs, *rest), weights, regret)
            return sum(value * (action if name == "action" else 1) for name, value in loss.items())

        told = (*rows, *settings, self._of["action"])
        losses = vmap(one, randomness="different")(self.params, self.buffers, *told)
        gradients = torch.autograd.grad(losses.sum(), list(self.params.values()))
        self._descend(gradients)
        return losses.detach()

    def _draw(self) -> MotionBatch:
        """A batch of each network, one after the other."""
        parts = [batches.choose(count) for count, batches in self._draws]
        chosen, known = (torch.cat(each) for each in zip(*parts, strict=True))
        strength = self._of["augmentation"].repeat_interleave(len(known) // len(self.variants))
        # All have the same windows, so that any of them can vary them.
        return self._draws[0][1].batch_of(chosen, known, strength=strength)

    @torch.no_grad()
    def _descend(self, gradients: tuple[Tensor, ...]) -> None:
        """AdamW, each network's gradient cut to the same length."""
        fit, params = self._fit, list(self.params.values())
        squares = [each.flatten(1).square().sum(dim=1) for each in gradients]
        length = sum(squares[1:], squares[0]).sqrt()
        factor = (fit.clip_norm / (length + 1e-6)).clamp(max=1)
        self.done += 1
        first, second = self._moments
        corrections = (1 - 0.9**self.done, 1 - 0.999**self.done)
        for gradient, param, mean, square, kept in zip(
            gradients, params, first, second, self.average.values(), strict=True
        ):
            shape = (-1, *[1] * (param.ndim - 1))
            gradient = gradient * factor.view(shape)
            rate = (self.rate * self._of["rate"]).view(shape)
            mean.lerp_(gradient, 0.1)
            square.lerp_(gradient.square(), 0.001)
            change = (mean / corrections[0]) / ((square / corrections[1]).sqrt() + 1e-8)
            param.sub_(rate * (change + self._of["decay"].view(shape) * param))
            # A short memory at first, so that random weights are forgotten.
            keep = torch.minimum(
                (self.done + 1) / (self.done + 10), torch.full_like(self.done, fit.average)
            )
            kept.add_((param - kept) * (1 - keep))

    def validate(
        self, sets: dict[str, MotionWindows], rows: list[int]
    ) -> dict[str, dict[str, np.ndarray]]:
        """Shares of the last pose's error of some variants' averaged weights."""
        self.template.eval()
        found = {}
        for row in rows:
            state = {name: value[row] for name, value in (self.average | self.buffers).items()}
            forecast = partial(self._forecast, state)
            found[self.variants[row].name] = {
                name: shares_of_last_pose(forecast, part, self._device)
                for name, part in sets.items()
            }
        self.template.train()
        return found

    @torch.no_grad()
    def _forecast(self, state: dict[str, Tensor], inputs: MotionInputs, frames: Tensor) -> Tensor:
        seen, turned = (
            functional_call(self.template, state, (each, frames)).moved
            for each in (inputs, inputs.mirrored(state["mirror"]))
        )
        return (seen + flip(turned, state["mirror"])) / 2

    def weights(self, row: int) -> dict[str, Tensor]:
        """Averaged weights of one network, in half precision, as a run keeps them."""
        names = self.template.state_dict()
        stacked = self.average | self.buffers
        return {name: stacked[name][row].detach().half().cpu() for name in names}


def mixed(batch: MotionBatch, strength: Tensor) -> MotionBatch:
    """Each window a little towards another one of its network's batch, which is as well known."""
    count = len(strength)

    def other(values: Tensor) -> Tensor:
        return values.unflatten(0, (count, -1)).roll(1, dims=1).flatten(0, 1)

    rows = len(batch.known) // count
    share = torch.rand_like(batch.known) / 2 * strength.repeat_interleave(rows)
    share = share * (other(batch.known) == batch.known)

    def mix(values: Tensor) -> Tensor:
        return torch.lerp(values, other(values), share.view(-1, *[1] * (values.ndim - 1)))

    both = batch.future_visible * other(batch.future_visible)
    shown = torch.where(share[:, None, None] > 0, both, batch.future_visible)
    inputs = {each.name: mix(getattr(batch.inputs, each.name)) for each in fields(MotionInputs)}
    future, scale = mix(batch.future), mix(batch.scale)
    inputs["exists"], inputs["trimmed"] = batch.inputs.exists, batch.inputs.trimmed
    return replace(
        batch, inputs=MotionInputs(**inputs), future=future, future_visible=shown, scale=scale
    )
