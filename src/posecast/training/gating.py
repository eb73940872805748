"""Which of generator and discriminator is trained next: the gating rule of the 2017 code."""

from typing import NamedTuple


class Gate(NamedTuple):
    """Who is updated in the coming iteration."""

    generator: bool = True
    discriminator: bool = True


def next_gate(gate: Gate, fake_error: float, real_error: float, margin: float = 0.3) -> Gate:
    """The gate after an iteration whose discriminator losses were these (deviations.md 33).

    A discriminator with a loss below `margin` is too strong and rests; a generator that pushes a
    loss above 1 - `margin` is too strong and rests. The rule is sticky: who rests goes on resting
    until the other would rest too, and then both are trained again. `fake_error` is
    `DiscriminatorLoss.fake`, `real_error` is `DiscriminatorLoss.real`, both after the updates.
    """
    generator = gate.generator and max(fake_error, real_error) <= 1 - margin
    discriminator = gate.discriminator and min(fake_error, real_error) >= margin
    if not generator and not discriminator:
        return Gate()
    return Gate(generator, discriminator)
