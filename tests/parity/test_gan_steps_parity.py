"""Three iterations of image training against the 2017 code, by the training loop's own functions.

Through the hourglass (beta = 1) rounding grows by its batch moments, and Adam makes a full step of
a tiny gradient's sign. So weights are compared entry by entry in double precision; in single
precision losses are held to what two runs of the 2017 code differ by (golden/notes.md section 3),
and weights by the share of entries that moved alike.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from discriminator2017 import discriminator as discriminator2017
from feature_weights import golden_alexnet, golden_hourglass
from posecast.training import optimizers
from posecast.training.image import ImageTraining, train_iteration
from posecast.training.image_setup import ImageTrainingConfig
from posecast.training.image_steps import FeatureNetworks, ImagePairTensors, generator_step
from posecast.training.optimizers import TFAdam
from posecast.villegas2017 import conversion

LEARNING_RATE = 1e-4


@dataclass
class Steps:
    """What three iterations did: names and layout as 2017 names them, changes per parameter."""

    losses: dict[str, list[float]]
    gates: list[list[bool]]
    changes: dict[int, list[torch.Tensor]]
    """Change of each parameter, generator's then discriminator's, after 1 and 3 iterations."""


class Iterations:
    """The 2017 batch, weights and feature networks; `run` trains them."""

    def __init__(self, numbers: dict[str, np.ndarray], dtype: torch.dtype, beta: float) -> None:
        kind = np.float64 if dtype == torch.float64 else np.float32
        variables = {k[3:]: a.astype(kind) for k, a in numbers.items() if k.startswith("w0/")}
        generator = conversion.generator(variables)
        discriminator = discriminator2017(variables)
        adam = (LEARNING_RATE, (float(numbers["beta1"]), float(numbers["beta2"])))
        self.training = ImageTraining(
            generator,
            discriminator,
            TFAdam(generator.parameters(), *adam),
            TFAdam(discriminator.parameters(), *adam),
        )
        source, target, *poses = (
            torch.from_numpy(numbers[k].transpose(0, 3, 1, 2).copy()).to(dtype)
            for k in ("xt", "xtpn", "pt", "ptpn")
        )
        self.pairs = ImagePairTensors(source, target, torch.cat(poses))
        hourglass = golden_hourglass(numbers).to(dtype) if beta else None
        self.networks = FeatureNetworks(golden_alexnet(numbers).to(dtype), hourglass)
        self.config = ImageTrainingConfig(
            pose_feature_weight=beta, gate_margin=float(numbers["margin"])
        )
        precision = "64-true" if dtype == torch.float64 else "32-true"
        self.fabric = Fabric(accelerator="cpu", devices=1, precision=precision)

    def run(self) -> Steps:
        start = [parameter.detach().clone() for parameter in self._parameters()]
        losses, gates, changes = [], [list(self.training.gate)], {}
        for iteration in (1, 2, 3):
            metrics = train_iteration(
                self.training, self.pairs, self.networks, self.config, self.fabric
            )
            self.training.decide(metrics, self.config)
            losses.append(metrics.read())
            gates.append(list(self.training.gate))
            pairs = zip(self._parameters(), start, strict=True)
            changes[iteration] = [(now - before).detach() for now, before in pairs]
        return Steps(self._in_2017_words(losses), gates, changes)

    def _parameters(self) -> list[torch.Tensor]:
        return [*self.training.generator.parameters(), *self.training.discriminator.parameters()]

    @torch.no_grad()
    def _in_2017_words(self, metrics: list[dict[str, float]]) -> dict[str, list[float]]:
        """The generator's terms before iterations 1 to 3 and at the end, the discriminator's after.

        2017 took all of them after each iteration: the generator's of the one are those that the
        next iteration begins with.
        """
        generator, discriminator = self.training.generator, self.training.discriminator
        _, end = generator_step(
            generator, discriminator, self.pairs, self.config.weights, self.networks
        )
        before = [*metrics, {name: float(value) for name, value in end.items()}]
        return {
            "L": [m["generator_loss"] - m["adversarial_loss"] for m in before],
            "L_img": [m["pixel_loss"] for m in before],
            "feat_loss1": [m["feature_loss"] for m in before],
            "feat_loss2": [m["pose_feature_loss"] for m in before],
            "g_loss": [m["adversarial_loss"] for m in before],
            "d_loss": [m["discriminator_loss"] for m in metrics],
            "d_loss_real": [m["real_error"] for m in metrics],
            "d_loss_fake": [m["drawn_error"] + m["mismatched_error"] for m in metrics],
        }


def rate_of_2017(group: dict[str, Any]) -> float:
    """TensorFlow multiplies up beta^t in single precision even where the weights are double.

    1 - beta2^t is then 1e-5 off from the second step on, enough to show through the hourglass.
    """
    beta1, beta2 = (np.float32(beta) for beta in group["betas"])
    power1 = power2 = np.float32(1)
    for _ in range(group["steps_taken"]):
        power1, power2 = power1 * beta1, power2 * beta2
    return group["lr"] * math.sqrt(1 - float(power2)) / (1 - float(power1))


def expected_changes(numbers: dict[str, np.ndarray], prefix: str) -> list[torch.Tensor]:
    """The 2017 weight changes, laid out as this code's parameters by loading them as variables."""
    variables = {k.removeprefix(f"{prefix}/"): a for k, a in numbers.items() if prefix in k}
    networks = conversion.generator(variables), discriminator2017(variables)
    return [parameter.detach() for network in networks for parameter in network.parameters()]


def compare_losses(steps: Steps, numbers: dict[str, np.ndarray], shares: dict[str, float]) -> None:
    """Each loss within a share of its value; a loss that is not run (weight 0) is not compared."""
    for name, share in shares.items():
        found = steps.losses[name]
        assert found == pytest.approx(numbers[f"seq_{name}"][-len(found) :].tolist(), rel=share)
    assert steps.gates == numbers["updateG_updateD"].tolist()


ALL = ("L", "L_img", "feat_loss1", "g_loss", "d_loss", "d_loss_real", "d_loss_fake")


@pytest.mark.parametrize(
    ("name", "beta"),
    [("gan_steps_beta0_f64", 0.0), pytest.param("gan_steps_f64", 1.0, marks=pytest.mark.slow)],
)
def test_double_precision(golden, monkeypatch, name: str, beta: float) -> None:
    monkeypatch.setattr(optimizers, "_corrected_rate", rate_of_2017)
    numbers = golden(name)
    steps = Iterations(golden("gan_steps"), torch.float64, beta).run()
    compare_losses(steps, numbers, dict.fromkeys(ALL, 2e-7))
    if beta:
        compare_losses(steps, numbers, {"feat_loss2": 2e-7})
    for iteration in (1, 3):
        expected = expected_changes(numbers, f"dw{iteration}")
        for change, wanted in zip(steps.changes[iteration], expected, strict=True):
            assert (change - wanted).abs().max() < 1e-3 * LEARNING_RATE


def test_single_precision_without_the_hourglass(golden) -> None:
    numbers = golden("gan_steps_beta0_f32")
    steps = Iterations(golden("gan_steps"), torch.float32, beta=0.0).run()
    compare_losses(steps, numbers, dict.fromkeys(ALL, 1e-5))
    for iteration in (1, 3):
        compare_moves(steps.changes[iteration], expected_changes(numbers, f"dw{iteration}"), 0.999)


def test_single_precision_with_the_full_loss(golden) -> None:
    numbers = golden("gan_steps")
    iterations = Iterations(numbers, torch.float32, beta=1.0)
    start = [parameter.detach().clone() for parameter in iterations._parameters()]
    steps = iterations.run()
    noise = {"L": 2.5e-3, "L_img": 2.5e-3, "feat_loss1": 2.5e-3, "feat_loss2": 6e-3}
    compare_losses(steps, numbers, {k: 2 * share for k, share in noise.items()})
    compare_losses(steps, numbers, dict.fromkeys(ALL[3:], 2e-3))
    for iteration, share in ((1, 0.98), (3, 0.5)):
        after = expected_changes(golden(f"gan_steps_w{iteration}"), f"w{iteration}")
        expected = [now - before for now, before in zip(after, start, strict=True)]
        compare_moves(steps.changes[iteration], expected, share)


def compare_moves(found: list[torch.Tensor], wanted: list[torch.Tensor], share: float) -> None:
    """At least `share` of all weights moved alike to 10 % of a step."""
    difference = torch.cat([(a - b).abs().flatten() for a, b in zip(found, wanted, strict=True)])
    assert (difference < 0.1 * LEARNING_RATE).float().mean() > share
    assert difference.max() < 6.5 * LEARNING_RATE
