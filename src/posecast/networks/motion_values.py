"""What goes into the motion network and what comes out of it."""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class MotionInputs:
    """Seen motions and guesses; lengths in sizes of the seen bodies, guesses as cosines."""

    pose: Float[Tensor, "b j 2"]
    was: Float[Tensor, "b o j 2"]
    exists: Float[Tensor, "b o"]
    visible: Float[Tensor, "b 10 j"]
    unseen: Float[Tensor, "b j"]
    never: Float[Tensor, "b j"]
    num_seen: Float[Tensor, " b"]
    trimmed: Float[Tensor, " b"]
    """1 where the clip is cut to one action, -1 where it is not, 0 where nobody said."""
    own: Float[Tensor, "b m j 2"]
    own_best: Float[Tensor, "b m j 2"]
    own_facts: Float[Tensor, "b 23"]
    others: Float[Tensor, "b m j 2"]
    others_facts: Float[Tensor, "b 4"]

    def to(self, device: torch.device) -> "MotionInputs":
        return MotionInputs(
            **{each.name: getattr(self, each.name).to(device) for each in fields(self)}
        )

    def mirrored(self, mirror: Tensor) -> "MotionInputs":
        """The same motions seen in a mirror."""
        points = ("pose", "was", "own", "own_best", "others")
        marks = ("visible", "unseen", "never")
        changed = {name: flip(getattr(self, name), mirror) for name in points}
        changed |= {name: getattr(self, name)[..., mirror] for name in marks}
        return replace(self, **changed)

    def and_mirrored(self, mirror: Tensor) -> "MotionInputs":
        """These motions, then all of them seen in a mirror."""
        turned = self.mirrored(mirror)
        names = [each.name for each in fields(self)]
        both = {name: torch.cat([getattr(self, name), getattr(turned, name)]) for name in names}
        return MotionInputs(**both)


def flip(points: Float[Tensor, "*b j 2"], mirror: Tensor) -> Float[Tensor, "*b j 2"]:
    """Points relative to the body's middle, seen in a mirror."""
    return points[..., mirror, :] * points.new_tensor([-1.0, 1.0])


@dataclass(frozen=True)
class MotionOutputs:
    """What the network says of each motion; displacements from the last seen pose, in sizes of the
    seen body."""

    cautious: Float[Tensor, "b t j 2"]
    bold: Float[Tensor, "b t j 2"]
    trust: Float[Tensor, "b t"]
    """How far to go from the cautious forecast to the bold one, 0 to 1."""
    going: Float[Tensor, "b t"]
    """How much of that way from the last pose to go, 0 to 1."""
    action_logits: Float[Tensor, "b a"]
    log_radius: Float[Tensor, "b 2 t j"]
    """Logarithm of the distance that holds the truth in half and in nine tenths of the cases."""

    @property
    def moved(self) -> Float[Tensor, "b t j 2"]:
        """The forecast."""
        return self.trusted(self.cautious, self.bold)

    def trusted(
        self, cautious: Float[Tensor, "b t j 2"], bold: Float[Tensor, "b t j 2"]
    ) -> Float[Tensor, "b t j 2"]:
        """As far from one forecast to the other, and as much of it, as is said here."""
        trust, going = self.trust[..., None, None], self.going[..., None, None]
        return going * (cautious + trust * (bold - cautious))

    def rows(self, which: slice) -> "MotionOutputs":
        """Those of some of the motions."""
        return MotionOutputs(*(getattr(self, each.name)[which] for each in fields(self)))
