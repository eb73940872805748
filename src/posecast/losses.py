"""Loss terms as pure functions."""

from jaxtyping import Bool, Float
from torch import Tensor


def masked_pose_loss(
    predicted: Float[Tensor, "b t 2j"],
    target: Float[Tensor, "b t 2j"],
    mask: Bool[Tensor, "b t j"] | Float[Tensor, "b t j"],
) -> Float[Tensor, ""]:
    """Squared error of visible joints, summed and divided by the number of ALL coordinates.

    The paper's pose loss (section 3.2) as the 2017 code computes it: a batch with many hidden
    joints weighs less. Features are all x, then all y. What hidden targets hold does not matter.
    """
    both = mask.to(predicted.dtype).repeat(1, 1, 2)
    error = (predicted - target).masked_fill(both == 0, 0)
    return (both * error.square()).mean()
