"""The gating rule's own words: who rests, how long, and when both start again."""

from posecast.training.image_steps import Gate, next_gate


def test_balanced_errors_let_both_learn() -> None:
    assert next_gate(Gate(), 0.5, 0.5) == Gate(generator=True, discriminator=True)


def test_a_discriminator_that_is_too_good_rests_until_the_generator_is() -> None:
    gate = next_gate(Gate(), fake_error=0.29, real_error=0.5)
    assert gate == Gate(generator=True, discriminator=False)
    assert next_gate(gate, 0.5, 0.5) == gate
    assert next_gate(gate, 0.5, 0.71) == Gate()


def test_a_generator_that_is_too_good_rests_until_the_discriminator_is() -> None:
    gate = next_gate(Gate(), fake_error=0.5, real_error=0.71)
    assert gate == Gate(generator=False, discriminator=True)
    assert next_gate(gate, 0.1, 0.5) == Gate()


def test_margins_themselves_still_learn() -> None:
    assert next_gate(Gate(), 0.25, 0.75, margin=0.25) == Gate()
