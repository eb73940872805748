"""Weights that ship: whole, licensed, described, and refused when they are not what they were."""

import dataclasses
import inspect
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from posecast import pretrained
from posecast.cli import main
from posecast.errors import PosecastError
from posecast.estimation import PoseEstimator
from posecast.estimation.estimator import EstimatorOptions
from posecast.media.grey_levels import to_network
from posecast.motion.neighbours import BASE_FILE, MotionBase
from posecast.networks.kinds import load_network, resolve
from posecast.networks.movenet import MoveNet, MoveNetConfig
from posecast.pretrained import DEFAULT_ESTIMATOR, DEFAULT_FORECASTER, SHIPPED, shipped_file
from posecast.records.weights import read_facts, read_tensors, write_weights
from posecast.skeletons import COCO, PENN_ACTION

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden" / "movenet_lightning.npz"


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_file_is_whole_and_has_a_card(name):
    assert resolve(name) == shipped_file(name)
    load_network(name)
    assert SHIPPED[name].card.startswith(f"# {name}\n")
    assert SHIPPED[name].path.with_name("LICENSE-Apache-2.0.txt").is_file()


def test_shipped_files_are_small():
    assert sum(path.stat().st_size for each in SHIPPED.values() for path in each.files) < 25 * 2**20


def test_the_command_line_lists_them_and_prints_cards(capsys):
    assert main(["models"]) == 0
    assert f"{DEFAULT_ESTIMATOR}  finds the joints" in capsys.readouterr().out
    assert main(["models", DEFAULT_ESTIMATOR]) == 0
    assert "Apache License 2.0" in capsys.readouterr().out
    assert main(["models", "movenet"]) == 2
    assert f"did you mean '{DEFAULT_ESTIMATOR}'?" in capsys.readouterr().err


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Path:
    """The shipped estimator's file in a folder where it can be spoiled."""
    path = SHIPPED[DEFAULT_ESTIMATOR].path
    monkeypatch.setattr(pretrained, "_FOLDER", tmp_path)
    return Path(shutil.copy(path, tmp_path))


def test_a_damaged_or_missing_file_is_refused(copy):
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    with pytest.raises(PosecastError, match=r"damaged \(SHA-256 .*install posecast again"):
        PoseEstimator.pretrained()
    copy.unlink()
    with pytest.raises(PosecastError, match="is missing: install posecast again"):
        PoseEstimator.pretrained()


def test_who_may_read_a_weight_file_is_for_the_system_to_say(tmp_path):
    shipped, base = (SHIPPED[name].path for name in (DEFAULT_ESTIMATOR, DEFAULT_FORECASTER))
    files = [tmp_path / name for name in ("plain", "weights.safetensors", "base.safetensors")]
    files[0].touch()
    write_weights(files[1], read_tensors(shipped), read_facts(shipped))
    MotionBase.load(base.with_name(BASE_FILE)).save(files[2])
    assert len({path.stat().st_mode for path in files}) == 1


def test_a_file_of_another_kind_version_or_skeleton_is_refused(copy, tmp_path):
    facts, tensors = read_facts(copy), read_tensors(copy)
    other = tmp_path / "other.safetensors"
    write_weights(other, tensors, dataclasses.replace(facts, kind="pose"))
    with pytest.raises(PosecastError, match=r"kind 'pose', expected 'estimator' or 'movenet'"):
        PoseEstimator.load(other)
    write_weights(other, tensors, dataclasses.replace(facts, skeleton="human36m"))
    with pytest.raises(PosecastError, match="for skeleton human36m, which has num_joints = 32"):
        PoseEstimator.load(other)
    write_weights(other, tensors, facts)
    newer = other.read_bytes().replace(b'"format_version":"1"', b'"format_version":"9"')
    other.write_bytes(newer)
    with pytest.raises(PosecastError, match="format version 9, this posecast reads up to"):
        PoseEstimator.load(other)
    with pytest.raises(PosecastError, match="no shipped weights of that name"):
        PoseEstimator.load("movenet-thunder")


@pytest.mark.skipif(not GOLDEN.is_file(), reason=f"the published graph's outputs lie in {GOLDEN}")
def test_movenet_says_what_the_published_graph_says():
    network = load_network(DEFAULT_ESTIMATOR, MoveNet).network
    with np.load(GOLDEN) as file, torch.inference_mode():
        joints, scores = network(to_network(torch.from_numpy(file["images"])))
        expected = file["outputs"]
    np.testing.assert_allclose(joints.numpy()[..., ::-1], expected[..., :2], atol=1e-4)
    np.testing.assert_allclose(scores.numpy(), expected[..., 2], atol=1e-4)


def test_mirrored_looks_agree_and_sides_are_the_persons():
    pictures = np.random.default_rng(0).integers(0, 255, (2, 192, 192, 3), np.uint8)
    estimator = PoseEstimator.pretrained(options=EstimatorOptions(device="cpu"))
    joints, sure = estimator.estimate(pictures)
    turned, sure_turned = estimator.estimate(np.ascontiguousarray(pictures[:, :, ::-1]))
    order = list(PENN_ACTION.mirror)
    np.testing.assert_allclose(sure_turned, sure[:, order], atol=1e-4)
    np.testing.assert_allclose(turned[:, :, 1], joints[:, order, 1], atol=1e-3)
    np.testing.assert_allclose(turned[:, :, 0], 1 - joints[:, order, 0], atol=1e-3)
    coco, _ = PoseEstimator.pretrained(
        options=EstimatorOptions(device="cpu"), skeleton=COCO
    ).estimate(pictures)
    penn_left = joints[:, PENN_ACTION.index("left_wrist")]
    np.testing.assert_array_equal(penn_left, coco[:, COCO.index("right_wrist")])


@pytest.mark.parametrize(
    "pictures",
    [np.zeros((1, 192, 192, 3)), np.zeros((1, 64, 64, 3), np.uint8), np.zeros((2, 2), np.uint8)],
)
def test_pictures_that_an_estimator_cannot_look_at_say_so(pictures):
    estimator = PoseEstimator(MoveNet(MoveNetConfig()), COCO, EstimatorOptions(device="cpu"))
    with pytest.raises(PosecastError, match=r"expected uint8 \(n, 192, 192, 3\), RGB"):
        inspect.unwrap(PoseEstimator.estimate)(estimator, pictures)  # without the tests' types


def test_bad_sizes_say_so():
    with pytest.raises(PosecastError, match="size is 100"):
        MoveNetConfig(size=100)
