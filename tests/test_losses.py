"""Known answers for the losses."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from posecast.losses import (
    ImageLossWeights,
    adversarial_loss,
    discriminator_loss,
    generator_loss,
    gradient_energy,
    half_mean_square,
    joint_distance_loss,
    local_dissimilarity,
    masked_pose_loss,
)


def test_masked_pose_loss_ignores_hidden_joints_but_counts_them() -> None:
    predicted = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])  # x of 2 joints, y of 2 joints
    target = torch.tensor([[[0.0, math.nan, 1.0, 7.0]]])
    mask = torch.tensor([[[True, False]]])
    assert masked_pose_loss(predicted, target, mask).item() == pytest.approx((1 + 4) / 4)


def test_joint_distance_loss_is_the_distance_over_all_joints() -> None:
    predicted = torch.tensor([[[3.0, 9.0, 4.0, 9.0]]])
    mask = torch.tensor([[[True, False]]])
    loss = joint_distance_loss(predicted, torch.zeros(1, 1, 4), mask)
    assert loss.item() == pytest.approx(5 / 2, rel=1e-5)


def test_half_mean_square() -> None:
    assert half_mean_square(torch.tensor([3.0, 0.0]), torch.tensor([1.0, 2.0])).item() == 2.0


def test_half_mean_square_of_half_precision_is_taken_in_single() -> None:
    predicted = torch.full((3, 7), 300.0, dtype=torch.bfloat16)
    loss = half_mean_square(predicted, torch.full((3, 7), 299.0, dtype=torch.bfloat16))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(0.5 * (300 - torch.tensor(299.0).bfloat16().item()) ** 2)


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 6, 4, 4)])
def test_half_mean_square_is_the_plain_formula_gradient_and_all(shape) -> None:
    generator = torch.Generator().manual_seed(len(shape))
    a, b = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    a.requires_grad_()
    b.requires_grad_()
    plain = 3 * 0.5 * (a - b).square().mean()
    expected = torch.autograd.grad(plain, (a, b))
    loss = 3 * half_mean_square(a, b)
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(torch.autograd.grad(loss, (a, b)), expected)


def test_half_mean_square_of_many_numbers_keeps_its_digits() -> None:
    generator = torch.Generator().manual_seed(1)
    numbers = torch.randn(2, 256, 64, 64, generator=generator)
    numbers = numbers.to(memory_format=torch.channels_last).bfloat16()
    exact = 0.5 * numbers.double().square().mean()
    loss = half_mean_square(numbers, torch.zeros_like(numbers))
    torch.testing.assert_close(loss.double(), exact, rtol=1e-6, atol=0)


def test_adversarial_loss_is_cross_entropy_and_does_not_overflow() -> None:
    assert adversarial_loss(torch.zeros(4, 1), real=True).item() == pytest.approx(math.log(2))
    logits = torch.tensor([[2.0]])
    assert adversarial_loss(logits, real=True).item() == pytest.approx(math.log1p(math.exp(-2)))
    assert adversarial_loss(logits, real=False).item() == pytest.approx(math.log1p(math.exp(2)))
    assert adversarial_loss(torch.tensor([[500.0]]), real=False).item() == pytest.approx(500)


def test_discriminator_loss_weighs_both_kinds_of_fakes_half() -> None:
    loss = discriminator_loss(torch.zeros(2, 1), torch.full((2, 1), 1.0), torch.full((2, 1), -1.0))
    up, down = math.log1p(math.e), math.log1p(1 / math.e)
    assert loss.real.item() == pytest.approx(math.log(2))
    assert loss.drawn.item() == pytest.approx(0.5 * up)
    assert loss.mismatched.item() == pytest.approx(0.5 * down)
    assert (loss.drawn + loss.mismatched).item() == pytest.approx(0.5 * (up + down))
    assert loss.total.item() == pytest.approx(math.log(2) + 0.5 * (up + down))


def test_generator_loss_weighs_its_terms() -> None:
    drawn, true = torch.full((2, 3, 4, 4), 0.5), torch.zeros(2, 3, 4, 4)
    loss = generator_loss(
        *(drawn, true, torch.zeros(2, 1), ImageLossWeights(2.0, 3.0, 4.0)),
        feature=half_mean_square(2 * drawn[:, :, :2, :2], true[:, :, :2, :2]),
        pose_feature=half_mean_square(4 * drawn[:, :1], true[:, :1]),
    )
    assert loss.pixel.item() == pytest.approx(0.125)
    assert loss.feature.item() == pytest.approx(0.5)
    assert loss.pose_feature.item() == pytest.approx(2.0)
    assert loss.adversarial.item() == pytest.approx(math.log(2))
    assert loss.total.item() == pytest.approx(0.125 + 2 * 0.5 + 3 * 2.0 + 4 * math.log(2))
    alone = generator_loss(drawn, true, None, ImageLossWeights())
    assert alone.total.item() == alone.pixel.item()


def test_refuses_negative_weights() -> None:
    with pytest.raises(ValueError, match=r"pose_feature is -1\.0"):
        ImageLossWeights(pose_feature=-1.0)
    with pytest.raises(ValueError, match="feature is nan"):
        ImageLossWeights(feature=math.nan)


def test_local_dissimilarity_is_one_less_structural_similarity() -> None:
    first, second = np.random.default_rng(0).random((2, 24, 20, 3))
    drawn, true = (torch.from_numpy(each).movedim(-1, 0)[None] * 2 - 1 for each in (first, second))
    inner = slice(3, -3)  # the window is cut off at the border here, mirrored there
    similar = structural_similarity(
        first, second, channel_axis=2, data_range=1, use_sample_covariance=False, full=True
    )[1]
    found = local_dissimilarity(drawn, true)[0].movedim(0, -1).numpy()
    assert found[inner, inner] == pytest.approx(1 - similar[inner, inner], abs=1e-6)


def test_gradient_energy_is_that_of_counted_pixels() -> None:
    picture, counts = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 3)
    picture[..., 1, 1], counts[..., 1:, 1:] = 2.0, 1.0
    assert gradient_energy(picture, counts).item() == pytest.approx(4 * 4, abs=0.01)
