"""Configurations survive the way through JSON, and say exactly what does not fit."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest

from posecast.errors import did_you_mean
from posecast.records.configs import (
    ConfigError,
    config_differences,
    config_from_dict,
    config_to_dict,
)


@dataclass(frozen=True)
class Layer:
    width: int = 4
    kind: Literal["relu", "tanh"] = "relu"


@dataclass(frozen=True)
class Net:
    layers: tuple[Layer, ...] = (Layer(), Layer(8, "tanh"))
    size: tuple[int, int] = (3, 5)
    rate: float = 1e-4
    file: Path | None = None
    name: str = ""
    gated: bool = True
    limit: float | None = None


@pytest.mark.parametrize(
    "config", [Net(), Net(file=Path("a/b.npy"), limit=0.5), Net(layers=(), name="x", gated=False)]
)
def test_config_survives_json(config: Net) -> None:
    stored = json.loads(json.dumps(config_to_dict(config)))
    assert config_from_dict(Net, stored) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rat": 0.1}, "unknown key 'rat'; did you mean 'rate'"),
        ({"rate": "fast"}, "rate: expected float, got 'fast'"),
        ({"gated": 1}, "gated: expected bool, got 1"),
        ({"size": [1, 2, 3]}, r"size: expected 2 values, got \[1, 2, 3\]"),
        ({"layers": [{"width": 1.5, "kind": "relu"}]}, r"layers.0.width: expected int, got 1.5"),
        ({"layers": [{"width": 1, "kind": "elu"}]}, r"layers.0.kind: expected .*got 'elu'"),
        ({"layers": [3]}, r"layers.0: expected an object, got 3"),
        ({"file": 3}, r"file: expected Path, got 3"),
    ],
)
def test_wrong_values_are_named(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_from_dict(Net, {**config_to_dict(Net()), **change})


def test_missing_keys_take_their_defaults_and_say_so(caplog) -> None:
    caplog.set_level("DEBUG")
    stored = {"layers": [{"width": 2}], "rate": 0.5}
    assert config_from_dict(Net, stored) == Net(layers=(Layer(2),), rate=0.5)
    assert "Net: size is not stored and takes its default" in caplog.messages
    assert "layers.0: kind is not stored and takes its default" in caplog.messages


@dataclass(frozen=True)
class Needy:
    width: int
    rate: float = 1.0


def test_missing_keys_without_a_default_are_named() -> None:
    with pytest.raises(ConfigError, match="Needy: missing width"):
        config_from_dict(Needy, {"rate": 2.0})


def test_whole_numbers_do_for_floats() -> None:
    assert config_from_dict(Net, {**config_to_dict(Net()), "rate": 1}).rate == 1.0


def test_differences_are_listed_by_dotted_name() -> None:
    old = {"net": config_to_dict(Layer()), "steps": 1, "gone": 2}
    new = {"net": config_to_dict(replace(Layer(), width=9)), "steps": 5, "new": 3}
    expected = ["net.width: 4 -> 9", "gone: 2 -> (absent)", "new: (absent) -> 3"]
    assert config_differences(old, new, ignore=("steps",)) == expected


def test_values_that_json_cannot_hold_are_refused() -> None:
    with pytest.raises(TypeError, match="cannot hold"):
        config_to_dict(replace(Layer(), kind=object()))


@pytest.mark.parametrize(
    ("word", "right"),
    [("preset", "presets"), ("Walk", "walk"), ("wlak", "walk"), ("jumping", "jumping_jacks")],
)
def test_a_word_that_is_nearly_known_is_said_with_the_right_one(word, right):
    known = ["walk", "jumping_jacks", "presets", "run"]
    assert did_you_mean(word, known) == f"; did you mean {right!r}?"


@pytest.mark.parametrize("word", ["baseball_pitch", "w", "train", "9999", ""])
def test_nothing_is_guessed_for_a_word_that_is_far_from_all(word):
    assert did_you_mean(word, ["walk", "jump", "presets"]) == "."
    assert did_you_mean(word, []) == "."
