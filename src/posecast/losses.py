"""Loss terms as pure functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from posecast.records.configs import check_at_least

FeatureNetwork = Callable[[Float[Tensor, "b 3 h w"]], Float[Tensor, "b f fh fw"]]
"""A frozen network: pictures in [-1, 1] to features."""


def masked_pose_loss(
    predicted: Float[Tensor, "b t f"],
    target: Float[Tensor, "b t f"],
    mask: Bool[Tensor, "b t j"] | Float[Tensor, "b t j"],
) -> Float[Tensor, ""]:
    """Squared error of visible joints, summed and divided by the number of ALL coordinates.

    The paper's pose loss (section 3.2) as the 2017 code computes it: a batch with many hidden
    joints weighs less. Features are all x, then all y. What hidden targets hold does not matter.
    """
    both = mask.to(predicted.dtype).repeat(1, 1, 2)
    error = (predicted - target).masked_fill(both == 0, 0)
    return (both * error.square()).mean()


def joint_distance_loss(
    predicted: Float[Tensor, "b t f"],
    target: Float[Tensor, "b t f"],
    mask: Bool[Tensor, "b t j"] | Float[Tensor, "b t j"],
) -> Float[Tensor, ""]:
    """Distance of visible joints / sqrt(future frame, from 1), divided by the number of ALL joints.

    Beyond the paper: the squared loss answers an uncertain future with its mean, far from where
    joints were last seen; this one with about the median, and it is what pose metrics measure.
    Joints wander off about as the root of time, so that near frames are not drowned by far ones.
    """
    weight = mask.to(predicted.dtype)
    both = weight.repeat(1, 1, 2)
    error = (predicted - target).masked_fill(both == 0, 0).unflatten(2, (2, -1))
    # The small term keeps the gradient finite at distance 0.
    distance = (error.square().sum(dim=2) + 1e-6).sqrt()
    frames = torch.arange(1, mask.shape[1] + 1, dtype=predicted.dtype, device=predicted.device)
    return (weight * distance / frames.sqrt()[:, None]).mean()


def half_mean_square(
    predicted: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"]
) -> Float[Tensor, ""]:
    """Half the mean squared difference: the pixel loss, and each feature loss (notes.md 4).

    Of half-precision features the differences are rounded as they are, the sum is single precision.
    """
    return _HalfMeanSquare.apply(predicted, target)


class _HalfMeanSquare(torch.autograd.Function):
    """Written by hand: features are so large that each pass over them costs, in single precision
    twice as much, and the plain formula makes a dozen."""

    @staticmethod
    def forward(ctx: Any, predicted: Tensor, target: Tensor) -> Tensor:
        difference = predicted - target
        ctx.save_for_backward(difference)
        if difference.dtype not in (torch.bfloat16, torch.float16):
            return 0.5 * difference.square().mean()
        # Norms square and add in single precision without a copy; a single one of all numbers
        # would lose digits.
        axis = min(1, difference.ndim - 1)
        lengths = torch.linalg.vector_norm(difference, dim=axis, dtype=torch.float32)
        return 0.5 * lengths.square().sum() / difference.numel()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None]:
        (difference,) = ctx.saved_tensors
        gradient = difference * (gradients[0] / difference.numel()).to(difference.dtype)
        return gradient, -gradient if ctx.needs_input_grad[1] else None


def adversarial_loss(logits: Float[Tensor, "b 1"], real: bool) -> Float[Tensor, ""]:
    """Mean cross-entropy of the judgement "these are real" (or, with `real` False, "drawn")."""
    return functional.softplus(-logits if real else logits).mean()


@dataclass(frozen=True)
class ImageLossWeights:
    """Weights of the generator's loss beside the pixel loss; the paper's are 1."""

    feature: float = 1.0
    """AlexNet features (2017: alpha); 0 trains without that network."""
    pose_feature: float = 1.0
    """Features of a pose network (2017: beta); 0 trains without that network."""
    adversarial: float = 1.0
    """Deceiving the discriminator (2017: gamma)."""

    def __post_init__(self) -> None:
        check_at_least(0, self, *self.__dataclass_fields__)


class GeneratorLoss(NamedTuple):
    """The generator's objective and its terms before weighting; terms left out are 0."""

    total: Float[Tensor, ""]
    pixel: Float[Tensor, ""]
    feature: Float[Tensor, ""]
    pose_feature: Float[Tensor, ""]
    adversarial: Float[Tensor, ""]


def generator_loss(
    drawn: Float[Tensor, "b 3 h w"],
    true: Float[Tensor, "b 3 h w"],
    drawn_logits: Float[Tensor, "b 1"] | None,
    weights: ImageLossWeights,
    feature: Float[Tensor, ""] | None = None,
    pose_feature: Float[Tensor, ""] | None = None,
) -> GeneratorLoss:
    """Paper section 3.3: pixel + feature + pose feature + adversarial loss (2017 conventions).

    `drawn_logits` are the discriminator's for the drawn pictures; features are distances to those
    of the true pictures (`half_mean_square`). None: without that term.
    """
    pixel, none = half_mean_square(drawn, true), drawn.new_zeros(())
    feature = none if feature is None else feature
    pose_feature = none if pose_feature is None else pose_feature
    adversarial = none if drawn_logits is None else adversarial_loss(drawn_logits, real=True)
    features = weights.feature * feature + weights.pose_feature * pose_feature
    total = pixel + features + weights.adversarial * adversarial
    return GeneratorLoss(total, pixel, feature, pose_feature, adversarial)


class DiscriminatorLoss(NamedTuple):
    """The discriminator's objective, total = real + drawn + mismatched."""

    total: Float[Tensor, ""]
    real: Float[Tensor, ""]
    """True frames with their own pose."""
    drawn: Float[Tensor, ""]
    """Drawn frames; half weight."""
    mismatched: Float[Tensor, ""]
    """True source frames with the target's pose; half weight."""


def discriminator_loss(
    real_logits: Float[Tensor, "b 1"],
    drawn_logits: Float[Tensor, "b 1"],
    mismatched_logits: Float[Tensor, "b 1"],
) -> DiscriminatorLoss:
    """Real frames against drawn ones and against frames of another pose (2017 conventions).

    The discriminator normalises each of the three kinds by its own moments.
    """
    real = adversarial_loss(real_logits, real=True)
    drawn = 0.5 * adversarial_loss(drawn_logits, real=False)
    mismatched = 0.5 * adversarial_loss(mismatched_logits, real=False)
    return DiscriminatorLoss(real + drawn + mismatched, real, drawn, mismatched)


def gradient_energy(
    pictures: Float[Tensor, "b c h w"], counts: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, " b"]:
    """Squared differences of neighbouring pixels, summed; `counts` is how much each counts."""
    down, right = pictures.diff(dim=2)[..., 1:], pictures.diff(dim=3)[..., 1:, :]
    energy = (down.square() + right.square()) * counts[..., 1:, 1:]
    return energy.sum(dim=(1, 2, 3)) + 1e-3


def local_dissimilarity(
    predicted: Float[Tensor, "b c h w"], true: Float[Tensor, "b c h w"]
) -> Float[Tensor, "b c h w"]:
    """1 - SSIM at each pixel, of pictures in [-1, 1], in windows of 7 x 7 cut off at the border."""

    def mean(values: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return functional.avg_pool2d(values, 7, 1, 3, count_include_pad=False)

    mean_x, mean_y = mean(predicted), mean(true)
    variances = mean(predicted.square() + true.square()) - mean_x.square() - mean_y.square()
    covariance = mean(predicted * true) - mean_x * mean_y
    first, second = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    mean_x, mean_y = mean_x + 1, mean_y + 1  # brightness counts from black
    luminance = (2 * mean_x * mean_y + first) / (mean_x.square() + mean_y.square() + first)
    return 1 - luminance * (2 * covariance + second) / (variances + second)
