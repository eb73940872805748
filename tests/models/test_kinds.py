"""The door to networks: what was saved comes back from a folder or a file; damage is named."""

import json
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from made_runs import make_run
from posecast.errors import PosecastError
from posecast.networks.action_classifier import FlowClassifierConfig, PoseClassifierConfig
from posecast.networks.carrying import CarryingConfig
from posecast.networks.conv_lstm import ConvLSTMConfig
from posecast.networks.generator import Generator, GeneratorConfig
from posecast.networks.hourglass import Hourglass, HourglassConfig
from posecast.networks.kinds import KINDS, facts_of, load_network, resolve
from posecast.networks.motion_residual import MotionResidualConfig
from posecast.networks.movenet import MoveNetConfig
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.records.configs import config_to_dict
from posecast.records.files import write_json
from posecast.records.training_data import TrainingData
from posecast.records.weights import WeightsError, WeightsFacts, read_facts, write_weights

SHARED_RUNS = Path(__file__).resolve().parents[3] / "shared" / "runs"
TINY = {
    "pose": PoseLSTMConfig(hidden=4, encoder=3),
    "motion": MotionResidualConfig(width=8, blocks=1),
    "image": GeneratorConfig(width=2, size=16),
    "estimator": HourglassConfig(stacks=1, width=8, depth=1, size=16),
    "movenet": MoveNetConfig(size=32),
    "carrying": CarryingConfig(mask_widths=(8,), refinement_widths=(8,)),
    "conv_lstm": ConvLSTMConfig(width=2, layers=1, kernel=3, size=16),
    "pose_action": PoseClassifierConfig(num_actions=2),
    "flow_action": FlowClassifierConfig(num_actions=2),
}
POSE_FACTS = WeightsFacts(
    "pose",
    asdict(TINY["pose"]),
    skeleton="penn_action",
    num_past=7,
    stride=4,
    fps=50.0,
    trained_on={"store": {"dataset": "penn-action"}, "train": ["0001"]},
    seed=3,
    step=12,
)


@dataclass(frozen=True)
class Windows:
    num_past: int = 6
    stride: int = 2


@dataclass(frozen=True)
class PoseTraining:
    """The part of a pose training's configuration that its weights need."""

    model: PoseLSTMConfig = TINY["pose"]
    skeleton: str = "penn_action"
    windows: Windows = field(default_factory=Windows)
    seed: int = 5


def _same(network: nn.Module, expected: dict[str, Tensor]) -> bool:
    state = network.state_dict()
    return state.keys() == expected.keys() and all(
        torch.equal(state[name], tensor) for name, tensor in expected.items()
    )


def _pose_file(path: Path, **changes) -> Path:
    write_weights(path, PoseLSTM(TINY["pose"]).state_dict(), replace(POSE_FACTS, **changes))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_back_from_one_file(tmp_path: Path, kind: str) -> None:
    network = KINDS[kind].network(TINY[kind])
    path = tmp_path / "a.safetensors"
    write_weights(path, network.state_dict(), WeightsFacts(kind, asdict(TINY[kind])))
    loaded = load_network(path)
    assert type(loaded.network) is KINDS[kind].network
    assert loaded.network.config == TINY[kind]
    assert not loaded.network.training
    assert _same(loaded.network, network.state_dict())


def test_facts_come_back_whole(tmp_path: Path) -> None:
    assert facts_of(_pose_file(tmp_path / "a.safetensors")) == POSE_FACTS


def test_a_run_tells_its_weights_all_of_its_training(tmp_path: Path) -> None:
    data = TrainingData(train=("0001", "0002"), fps=50.0, crop_side_px=231.0)
    run = make_run(tmp_path / "run", PoseTraining(), "pose", data)
    network = PoseLSTM(TINY["pose"])
    run.save_weights("best", network, 8)
    told = {"num_past": 6, "stride": 2, "crop_side_px": 231.0, "seed": 5, "step": 8}
    facts = replace(POSE_FACTS, trained_on=config_to_dict(data), **told)
    moved = shutil.move(run.path / "weights-best.safetensors", tmp_path / "alone.safetensors")
    loaded = load_network(moved, PoseLSTM)
    assert loaded.facts == facts
    assert _same(loaded.network, network.state_dict())


def test_best_weights_fall_back_to_last_visibly(tmp_path: Path, caplog) -> None:
    run = make_run(tmp_path / "run", PoseTraining(), "pose")
    with pytest.raises(WeightsError, match="no weights yet"):
        load_network(run.path)
    run.save_weights("last", PoseLSTM(TINY["pose"]), 1)
    assert facts_of(run.path).step == 1
    assert "using weights-last.safetensors" in caplog.text
    run.save_weights("best", PoseLSTM(TINY["pose"]), 0)
    assert resolve(run.path).name == "weights-best.safetensors"
    assert resolve(run.path, "last").name == "weights-last.safetensors"


def test_tensors_in_other_memory_formats_are_written(tmp_path: Path) -> None:
    network = Generator(TINY["image"]).to(memory_format=torch.channels_last)  # pyright: ignore
    path = tmp_path / "a.safetensors"
    write_weights(path, network.state_dict(), WeightsFacts("image", asdict(TINY["image"])))
    assert _same(load_network(path, Generator).network, network.state_dict())


@pytest.mark.parametrize("metadata", [True, False], ids=["with metadata", "without"])
def test_a_run_of_the_first_release_goes_on_loading(tmp_path: Path, metadata: bool) -> None:
    run = tmp_path / "run"
    config = {"generator": asdict(TINY["image"]), "skeleton": "penn_action", "sigma_px": 6.0}
    write_json(run / "config.json", {"kind": "image", "config": config | {"seed": 2}})
    write_json(run / "data.json", {"store": {"size": 16}, "train": ["0001"]})
    network = Generator(TINY["image"])
    entries = {"kind": "image", "step": "9", "config": json.dumps(config | {"seed": 2})}
    safetensors.torch.save_file(
        network.state_dict(), run / "weights-best.safetensors", entries if metadata else None
    )
    loaded = load_network(run, Generator)
    assert _same(loaded.network, network.state_dict())
    facts = loaded.facts
    assert (facts.sigma_px, facts.skeleton, facts.seed) == (6.0, "penn_action", 2)
    assert (facts.fps, facts.crop_side_px, facts.step) == (None, None, 9 if metadata else 0)
    assert facts.trained_on == {"store": {"size": 16}, "train": ["0001"]}


def test_a_classifier_of_the_first_release_knows_its_actions(tmp_path: Path) -> None:
    config = {"model": asdict(TINY["pose_action"]), "skeleton": "penn_action", "fit": {"seed": 4}}
    write_json(tmp_path / "config.json", {"kind": "pose_action", "config": config})
    write_json(tmp_path / "data.json", {"actions": ["bowl", "squat"]})
    network = KINDS["pose_action"].network(TINY["pose_action"])
    safetensors.torch.save_file(network.state_dict(), tmp_path / "weights-last.safetensors")
    facts = load_network(tmp_path).facts
    assert (facts.actions, facts.seed) == (("bowl", "squat"), 4)


@pytest.mark.skipif(not SHARED_RUNS.is_dir(), reason="no runs of 56aa31b beside the checkout")
def test_the_runs_of_56aa31b_go_on_loading() -> None:
    pose = load_network(SHARED_RUNS / "plus_pose", PoseLSTM)
    assert (pose.facts.step, pose.facts.num_past, pose.facts.stride) == (4373, 10, 1)
    assert pose.network.config.output == "residual"
    image = load_network(SHARED_RUNS / "image_composite_real", Generator)
    assert (image.facts.step, image.network.config.output) == (4916, "composite")


def test_another_kind_of_network_is_refused(tmp_path: Path) -> None:
    path = _pose_file(tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=r"weights of kind 'pose', expected 'image'"):
        load_network(path, Generator)
    with pytest.raises(WeightsError, match=r"expected 'image' or 'estimator'"):
        load_network(path, (Generator, Hourglass))
    assert load_network(path, (Generator, PoseLSTM)).facts.kind == "pose"
    with pytest.raises(WeightsError, match="weights of kind 'dance', expected 'pose' or "):
        load_network(_pose_file(path, kind="dance"))


def test_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posecast.records.weights.FORMAT_VERSION", 2)
    path = _pose_file(tmp_path / "a.safetensors")
    monkeypatch.undo()
    with pytest.raises(WeightsError, match="format version 2, this posecast reads up to 1"):
        load_network(path)


def test_damage_is_named(tmp_path: Path) -> None:
    path = _pose_file(tmp_path / "a.safetensors")
    whole = path.read_bytes()
    for part in (b"", whole[:100], whole[:-10], b"<html>not found</html>"):
        path.write_bytes(part)
        with pytest.raises(WeightsError, match=r"cannot read the weights .*a\.safetensors"):
            load_network(path)


def test_metadata_that_make_no_sense_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {"w": torch.ones(1)}
    right = {"format_version": "1", "kind": "pose", "config": "{}", "step": "3"}
    for wrong in ({"step": "three"}, {"step": '"3"'}, {"colour": "1"}, {"config": "[]"}):
        safetensors.torch.save_file(tensors, path, right | wrong)
        with pytest.raises(PosecastError, match=r"a\.safetensors"):
            read_facts(path)
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(WeightsError, match="was not written by posecast"):
        load_network(path)


def test_weights_and_description_must_fit_each_other(tmp_path: Path) -> None:
    path = _pose_file(tmp_path / "a.safetensors", config=asdict(PoseLSTMConfig(hidden=8)))
    with pytest.raises(WeightsError, match="do not fit its configuration"):
        load_network(path)
    with pytest.raises(PosecastError, match=r"config: unknown key 'widht'"):
        load_network(_pose_file(path, config=asdict(TINY["pose"]) | {"widht": 3}))


def test_the_skeleton_must_fit_the_network(tmp_path: Path) -> None:
    path = _pose_file(tmp_path / "a.safetensors", skeleton="human36m")
    with pytest.raises(PosecastError, match="num_joints = 32, but its network has 13"):
        load_network(path)
    with pytest.raises(WeightsError, match="num_joints = 32, but its network has 13"):
        load_network(path)
    with pytest.raises(WeightsError, match="skeleton 'octopus', known are penn_action"):
        load_network(_pose_file(path, skeleton="octopus"))


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no run at .*nothing"):
        load_network(tmp_path / "nothing")
    with pytest.raises(WeightsError, match="is not a run"):
        load_network(tmp_path)
