"""Settings of image training: what is refused, and what needs no weights."""

import math
from pathlib import Path

import pytest
from drawn_squares import SIZE, TINY, write_squares

from posecast.networks.discriminator import DiscriminatorConfig
from posecast.networks.generator import GeneratorConfig
from posecast.store.reading import ClipSelection
from posecast.training.image import train_image
from posecast.training.image_setup import load_feature_networks
from posecast.training.image_steps import FeatureNetworks


@pytest.fixture(scope="module")
def store_path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "store"
    write_squares(path)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feature_weight": 1.0}, "no AlexNet weights.*--feature-weight 0"),
        ({"feature_weight": 1.0, "alexnet_file": Path("no.npy")}, r"there is no file no\.npy"),
        ({"pose_feature_weight": 1.0}, "no hourglass weights.*--pose-feature-weight 0"),
    ],
)
def test_missing_feature_weights_are_an_error(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){message}"):
        load_feature_networks(TINY.but(**change))


def test_no_weights_are_needed_without_the_losses() -> None:
    assert load_feature_networks(TINY) == FeatureNetworks(None, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"skeleton": "coco"}, "skeleton is coco, the store needs penn_action"),
        (
            {"generator": GeneratorConfig(num_heatmaps=32, width=4, size=SIZE)},
            r"generator\.num_heatmaps is 32, the store needs 48",
        ),
        (
            {"discriminator": DiscriminatorConfig(width=4, size=64)},
            r"discriminator\.size is 64, the store needs 32",
        ),
        ({"clips": ClipSelection(clips=("9999",))}, "unknown clip '9999'"),
        ({"clips": ClipSelection(split="all")}, r"'0004'.*test clips or trained on"),
        (
            {"validation": ClipSelection(actions=("jump",), split="validation")},
            "--validate-every 0",
        ),
    ],
)
def test_settings_that_do_not_fit_the_store(
    store_path: Path, tmp_path: Path, change: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train_image(TINY.but(**change), store_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"validate_every": -1}, "validate_every is -1"),
        ({"feature_weight": -1.0}, "feature is -1"),
        ({"hourglass_folder": Path("a"), "pose_features": Path("b")}, "not both"),
        ({"skeleton": "cat"}, "unknown skeleton 'cat'"),
        ({"learning_rate": math.nan}, "learning_rate"),
    ],
)
def test_impossible_settings_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TINY.but(**change)
