"""The gating rule against 400 decisions of the 2017 code."""

from posecast.training.image_steps import Gate, next_gate


def test_same_decisions_as_2017(golden) -> None:
    numbers = golden("gating")
    margin, gate = float(numbers["margin"]), Gate()
    assert len(numbers["table"]) == 400
    for fake, real, *flags in numbers["table"].tolist():
        assert list(gate) == [bool(flag) for flag in flags[:2]]
        gate = next_gate(gate, fake, real, margin)
        assert list(gate) == [bool(flag) for flag in flags[2:]]
