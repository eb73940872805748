"""What goes into the motion network and what comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from posecast.motion import neighbours, own_past
from posecast.motion.neighbours import flip
from posecast.motion.seen import RECENT


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
        return trusted(self.cautious, self.bold, self.trust, self.going)

    def rows(self, which: slice) -> "MotionOutputs":
        return MotionOutputs(*(getattr(self, each.name)[which] for each in fields(self)))

    @classmethod
    def mean(cls, said: Sequence["MotionOutputs"]) -> "MotionOutputs":
        """Of several; `bold` is the forecast, trusted everywhere."""

        def mean(name: str) -> Tensor:
            return torch.stack([getattr(each, name) for each in said]).mean(dim=0)

        wholly, logits = torch.ones_like(said[0].trust), mean("action_logits")
        return cls(mean("cautious"), mean("moved"), wholly, wholly, logits, mean("log_radius"))


def trusted(
    cautious: Float[Tensor, "b t j 2"],
    bold: Float[Tensor, "b t j 2"],
    trust: Float[Tensor, "b t"],
    going: Float[Tensor, "b t"],
) -> Float[Tensor, "b t j 2"]:
    """So far from one forecast to the other, and so much of that way from the last pose."""
    moved = cautious + trust[..., None, None] * (bold - cautious)
    return going[..., None, None] * moved


def log_seen(inputs: MotionInputs) -> Float[Tensor, "b 1"]:
    """Logarithm of how many frames were seen, around 1."""
    return torch.log(inputs.num_seen / RECENT)[:, None] / 2


def trust_facts(
    inputs: MotionInputs, own_past: Float[Tensor, ""], neighbours: Float[Tensor, ""]
) -> Float[Tensor, "b f"]:
    """How well the guesses fit, how much is seen, how shaky and how fast it is."""
    was, exists = inputs.was, inputs.exists

    def mean_length(moved: Float[Tensor, "b j 2"], back: int) -> Float[Tensor, " b"]:
        return (moved.square().sum(-1) + 1e-8).sqrt().mean(1) * exists[:, back]

    shaking = mean_length(2 * was[:, 0] - was[:, 1], 1)
    shaking = (shaking + mean_length(2 * was[:, 3] - was[:, 2] - was[:, 4], 4)) / 2
    speeds = [torch.log(mean_length(was[:, back], back) + 1e-3) / 2 for back in (0, 2, 8)]
    sizes = [
        torch.log((guess.square().sum((1, 2, 3)) + 1e-8).sqrt()) / 3 * used
        for guess, used in ((inputs.own, own_past), (inputs.others, neighbours))
    ]
    columns = [inputs.visible.mean((1, 2)), torch.log(shaking + 1e-3) / 2, *speeds, *sizes]
    guesses = [inputs.own_facts * own_past, inputs.others_facts * neighbours]
    facts = [*guesses, log_seen(inputs), torch.stack(columns, dim=1)]
    return torch.cat(facts, dim=1).clamp(-5, 5)


NUM_FACTS = own_past.NUM_FACTS + neighbours.NUM_FACTS + 8
"""Columns of `trust_facts`."""
