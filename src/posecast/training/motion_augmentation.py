"""Varying windows of motion: mirrored, turned, stretched, shaken, with hidden joints.

The guesses are moved along with the poses, and at times left out, so that the network learns to do
without.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from posecast.motion import own_past
from posecast.motion.seen import BACK, RECENT

_POINTS = ("pose", "was", "own", "own_best", "others", "future")
_MARKS = ("visible", "unseen", "never", "future_visible")


@dataclass(frozen=True)
class MotionAugmentation:
    """How windows are varied."""

    rotation_degrees: float = 12.0
    """Largest turn in the image."""
    stretch: float = 0.12
    """Deviation of the logarithm of the stretch along each axis."""
    shaken: float = 0.3
    """Share of the windows whose seen joints are shaken."""
    largest_shake: float = 0.008
    """Deviation in sizes of the body."""
    hidden: float = 0.3
    """Share of the windows in which some joints are hidden in the last frames."""
    no_guess: float = 0.1
    """Share of the windows in which each guess is left out."""
    untold: float = 0.3
    """Share of the windows of which nobody says whether they are of a clip cut to one action."""


class MotionAugmenter:
    """Varies windows on a device."""

    def __init__(
        self, settings: MotionAugmentation, mirror: Sequence[int], device: torch.device
    ) -> None:
        self._settings, self._device = settings, device
        self._mirror = torch.tensor(mirror, device=device)
        self._nothing = torch.tensor(own_past.NO_FACTS, device=device)
        self._back = torch.tensor(BACK, device=device)[:, None]

    def vary(
        self,
        values: dict[str, Tensor],
        generator: torch.Generator | None,
        strength: Float[Tensor, " b"],
    ) -> dict[str, Tensor]:
        """Windows by the names of their values, each `strength` times as strongly as usual."""
        settings, count = self._settings, len(values["pose"])

        def luck(*shape: int) -> Tensor:
            return torch.rand(count, *shape, generator=generator, device=self._device)

        def normal(*shape: int) -> Tensor:
            return torch.randn(count, *shape, generator=generator, device=self._device)

        joints = values["pose"].shape[1]
        hidden = luck() < settings.hidden * strength
        values |= _hide(values, hidden[:, None] & (luck(joints) < 0.25), luck(joints), self._back)
        deviation = (luck() < settings.shaken * strength) * luck() * settings.largest_shake
        shift = normal(1 + len(BACK), *values["pose"].shape[1:])
        values |= _shake(values, shift * deviation[:, None, None, None])
        left_out = settings.no_guess * strength
        values |= _leave_out(values, luck() < left_out, luck() < left_out, self._nothing)
        turn = (luck() * 2 - 1) * settings.rotation_degrees * torch.pi / 180 * strength
        stretch = normal(2) * settings.stretch * strength[:, None]
        values |= self._turn(values, _matrices(turn, stretch.exp()), luck() < 0.5 * strength)
        return values | {"trimmed": values["trimmed"] * (luck() >= settings.untold * strength)}

    def _turn(
        self,
        values: dict[str, Tensor],
        matrix: Float[Tensor, "b 2 2"],
        mirrored: Bool[Tensor, " b"],
    ) -> dict[str, Tensor]:
        turned = {}
        for name in (*_POINTS, *_MARKS):
            value, joint_axis = values[name], -2 if name in _POINTS else -1
            other = value.index_select(joint_axis, self._mirror)
            where = mirrored.reshape(-1, *[1] * (value.ndim - 1))
            turned[name] = torch.where(where, other, value)
        flipped = torch.stack([1 - 2 * mirrored.float(), torch.ones_like(matrix[:, 0, 0])], dim=-1)
        sign = flipped[:, None]
        for name in _POINTS:
            points = turned[name]
            turned[name] = (points.flatten(1, -2) @ (matrix * sign).mT).reshape(points.shape)
        return turned


def _hide(
    values: dict[str, Tensor],
    hidden: Bool[Tensor, "b j"],
    luck: Float[Tensor, "b j"],
    back: Int[Tensor, "o 1"],
) -> dict[str, Tensor]:
    """Joints hidden in the last 1 to 9 frames: the last seen place stands in."""
    frames = (luck * (RECENT - 1)).long().clamp(max=RECENT - 2)
    hidden = hidden & (values["exists"].gather(1, frames) > 0)
    place = values["was"].gather(1, frames[:, None, :, None].expand(-1, 1, -1, 2))[:, 0]
    place = place * hidden[..., None]
    device = hidden.device
    lasts = frames[:, None] + 1
    within = ((back <= lasts) & hidden[:, None])[..., None]
    pose = values["pose"] + place
    shown = ~((torch.arange(RECENT, device=device)[:, None] < lasts) & hidden[:, None])
    return {
        "was": torch.where(within, 0.0, values["was"] - place[:, None]),
        "pose": pose - pose.mean(dim=1, keepdim=True),
        "future": values["future"] - place[:, None],
        "unseen": torch.where(hidden, (frames + 1) / 30, values["unseen"]),
        "visible": values["visible"] * shown,
    }


def _shake(values: dict[str, Tensor], shift: Float[Tensor, "b o j 2"]) -> dict[str, Tensor]:
    """Every seen place a little off, as estimators have it."""
    exists = values["exists"][..., None, None]
    return {
        "pose": values["pose"] + shift[:, 0],
        "was": values["was"] + (shift[:, 1:] - shift[:, :1]) * exists,
        "future": values["future"] - shift[:, :1],
    }


def _leave_out(
    values: dict[str, Tensor],
    own: Bool[Tensor, " b"],
    others: Bool[Tensor, " b"],
    nothing: Float[Tensor, " 23"],
) -> dict[str, Tensor]:
    """Windows without one of the guesses."""
    left = {"own": own, "own_best": own, "others": others, "others_facts": others}
    changed = {
        name: values[name] * ~where.reshape(-1, *[1] * (values[name].ndim - 1))
        for name, where in left.items()
    }
    changed["own_facts"] = torch.where(own[:, None], nothing, values["own_facts"])
    return changed


def _matrices(turn: Float[Tensor, " b"], stretch: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2 2"]:
    cosine, sine = turn.cos(), turn.sin()
    rotation = torch.stack([cosine, -sine, sine, cosine], dim=1).reshape(-1, 2, 2)
    return rotation * stretch[:, None]
