"""Seen poses made worse as estimators do: noise, missing joints, swapped sides, lost frames.

Everything is drawn from a generator that is given; coordinates are pixels of the source image.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from posecast.skeletons import Skeleton

DamageKind = Literal["none", "noise", "missing", "swapped", "lost frame", "last frame lost"]


@dataclass(frozen=True)
class Damage:
    """One way in which seen poses are worse."""

    kind: DamageKind
    amount: float = 0.0
    """noise: standard deviation of each coordinate as a share of the longer side of the clip's
    box; missing: share of the seen joints; swapped: share of the frames."""

    @property
    def title(self) -> str:
        """For tables."""
        texts = {
            "none": "as labelled",
            "noise": f"noise of {100 * self.amount:g} % of the box",
            "missing": f"{100 * self.amount:g} % of the joints missing",
            "swapped": f"left and right swapped in {100 * self.amount:g} % of the frames",
            "lost frame": "one frame lost, any but the last",
            "last frame lost": "the last frame lost",
        }
        return texts[self.kind]


DAMAGES = (
    Damage("none"),
    *(Damage("noise", amount) for amount in (0.01, 0.02, 0.05, 0.1)),
    *(Damage("missing", amount) for amount in (0.1, 0.2, 0.3, 0.5)),
    *(Damage("swapped", amount) for amount in (0.1, 0.3, 1.0)),
    Damage("lost frame"),
    Damage("last frame lost"),
)
"""What the robustness study tries."""

SeenPoses = tuple[Float[np.ndarray, "p j 2"], Bool[np.ndarray, "p j"]]
"""Joints in pixels, and which are visible."""


def apply_damage(
    damage: Damage,
    joints_px: Float[np.ndarray, "p j 2"],
    visible: Bool[np.ndarray, "p j"],
    box_side_px: float,
    skeleton: Skeleton,
    rng: np.random.Generator,
) -> SeenPoses:
    """Worse copies of the seen poses of a clip.

    `box_side_px` is the longer side of the clip's box. At least one joint stays visible.
    """
    joints, shown = joints_px.copy(), visible.copy()
    if damage.kind == "noise":
        scale = damage.amount * box_side_px
        joints = (joints + scale * rng.standard_normal(joints.shape)).astype(joints.dtype)
    elif damage.kind == "missing":
        shown &= rng.random(shown.shape) >= damage.amount
    elif damage.kind == "swapped":
        swapped = rng.random(len(shown)) < damage.amount
        order = list(skeleton.mirror)
        joints[swapped], shown[swapped] = joints[swapped][:, order], shown[swapped][:, order]
    elif damage.kind == "lost frame" and len(shown) > 1:
        shown[rng.integers(len(shown) - 1)] = False
    elif damage.kind == "last frame lost":
        shown[-1] = False
    return (joints, shown) if shown.any() else (joints, visible.copy())
