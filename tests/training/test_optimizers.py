import math

import pytest
import torch
from torch import nn

from posecast.training.optimizers import TFAdam, TFRMSProp


def weights(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def test_rmsprop_first_step_is_small_because_the_mean_square_starts_at_one():
    w = weights(1.0, -2.0)
    w.grad = torch.tensor([0.5, 0.0], dtype=torch.float64)
    TFRMSProp([w], lr=0.1).step()
    expected = 1.0 - 0.1 * 0.5 / math.sqrt(0.9 + 0.1 * 0.25 + 1e-10)
    torch.testing.assert_close(w.detach(), torch.tensor([expected, -2.0], dtype=torch.float64))


def test_rmsprop_epsilon_is_inside_the_root():
    w = weights(0.0)
    optimizer = TFRMSProp([w], lr=1.0, decay=0.0, eps=0.75)
    w.grad = torch.tensor([0.5], dtype=torch.float64)
    optimizer.step()
    assert w.item() == pytest.approx(-0.5 / math.sqrt(0.25 + 0.75))


def test_adam_follows_the_written_formula():
    lr, beta1, beta2, eps = 0.1, 0.5, 0.999, 1e-2
    w = weights(1.0)
    optimizer = TFAdam([w], lr=lr, betas=(beta1, beta2), eps=eps)
    value, mean, square = 1.0, 0.0, 0.0
    for step, gradient in enumerate((0.3, -0.2, 0.05), start=1):
        w.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
        rate = lr * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        value -= rate * mean / (math.sqrt(square) + eps)
        assert w.item() == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("optimizer_class", [TFRMSProp, TFAdam])
def test_parameters_without_gradient_stay(optimizer_class):
    moving, still = weights(1.0), weights(1.0)
    optimizer = optimizer_class([moving, still])
    moving.grad = torch.ones_like(moving)
    optimizer.step()
    assert moving.item() < 1
    assert still.item() == 1


@pytest.mark.parametrize("optimizer_class", [TFRMSProp, TFAdam])
def test_state_survives_saving(optimizer_class, tmp_path):
    def descend(w: nn.Parameter, optimizer: torch.optim.Optimizer) -> None:
        for _ in range(2):
            optimizer.zero_grad()
            (w**4).sum().backward()
            optimizer.step()

    straight = weights(1.0, 2.0)
    optimizer = optimizer_class([straight], lr=0.01)
    descend(straight, optimizer)
    torch.save({"w": straight.detach(), "optimizer": optimizer.state_dict()}, tmp_path / "state")
    descend(straight, optimizer)

    saved = torch.load(tmp_path / "state", weights_only=True)
    resumed = nn.Parameter(saved["w"])
    optimizer = optimizer_class([resumed], lr=0.01)
    optimizer.load_state_dict(saved["optimizer"])
    descend(resumed, optimizer)
    assert torch.equal(straight, resumed)
