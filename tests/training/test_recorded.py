"""Steps that a GPU replays compute what plain ones do, on a real one and on `a_card`."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from a_card import pretended
from benchmarks.speed.work import Sizes, write_random_store
from made_runs import weights_of
from posecast.computing.recording import PLAIN_CALLS
from posecast.networks.action_classifier import FlowClassifierConfig, PoseClassifierConfig
from posecast.networks.carrying import CarryingConfig
from posecast.networks.conv_lstm import ConvLSTMConfig
from posecast.networks.discriminator import DiscriminatorConfig
from posecast.networks.generator import GeneratorConfig
from posecast.networks.hourglass import HourglassConfig
from posecast.networks.motion_residual import MotionResidualConfig
from posecast.networks.pose_lstm import PoseLSTMConfig
from posecast.pretrained import CARRIED
from posecast.records.runs import Run
from posecast.store.files import masks_path
from posecast.store.reading import Store
from posecast.training.action import (
    FlowActionTrainingConfig,
    PoseActionTrainingConfig,
    train_flow_classifier,
    train_pose_classifier,
)
from posecast.training.carrying import CarryingTrainingConfig, train_carrying
from posecast.training.carrying_stream import StreamConfig
from posecast.training.conv_lstm import ConvLSTMTrainingConfig, train_conv_lstm
from posecast.training.estimator import EstimatorTrainingConfig, train_estimator
from posecast.training.groups import GroupTrainingConfig
from posecast.training.image import ImageTrainingConfig, train_image
from posecast.training.motion import MotionTrainingConfig, train_motion
from posecast.training.motion_windows import WindowChoice
from posecast.training.optimizers import (
    TFAdam,
    TFRMSProp,
    load_optimizer,
    make_recordable,
    optimizer_state,
    set_rate,
)
from posecast.training.outline import OutlineTrainingConfig, train_outline
from posecast.training.pose import PoseTrainingConfig, train_pose
from posecast.windows import PoseWindows

SIDE = 32
WINDOWS = PoseWindows(num_past=4, num_future=6)
IMAGE = ImageTrainingConfig(
    generator=GeneratorConfig(width=4, size=SIDE),
    discriminator=DiscriminatorConfig(width=4, size=SIDE),
    feature_weight=0.0,
    pose_feature_weight=0.0,
    gating="off",
    sample_every=0,
)
KINDS: dict[str, tuple[Callable[..., Any], Any]] = {
    "pose": (
        train_pose,
        PoseTrainingConfig(
            model=PoseLSTMConfig(
                hidden=16, encoder=8, output="residual", inputs="motion", dropout=0.3
            ),
            windows=WINDOWS,
            loss="distance",
        ).but(optimizer="adam"),
    ),
    "pose-2017": (
        train_pose,
        PoseTrainingConfig(model=PoseLSTMConfig(hidden=16, encoder=8), windows=WINDOWS),
    ),
    "image": (train_image, IMAGE),
    "composite": (
        train_image,
        IMAGE.but(generator=GeneratorConfig(width=4, size=SIDE, output="composite"), gating="2017"),
    ),
    "estimator": (
        train_estimator,
        EstimatorTrainingConfig(model=HourglassConfig(stacks=1, width=8, depth=2, size=SIDE)),
    ),
    "motion": (
        train_motion,
        MotionTrainingConfig(
            model=MotionResidualConfig(width=16, blocks=2),
            windows=WindowChoice(rounds_clip=1, first=2, others=4),
        ).but(average=0.9),
    ),
    "outline": (
        train_outline,
        OutlineTrainingConfig(model=CarryingConfig(mask_widths=(8, 8), refinement_widths=())),
    ),
    "carrying": (
        train_carrying,
        CarryingTrainingConfig(
            model=CarryingConfig(refinement_widths=(8, 8), refinement_norm="batch"),
            mask=Path(CARRIED),
            stream=StreamConfig(samples=16, first=8, per_step=4),
        ),
    ),
    "conv": (
        train_conv_lstm,
        ConvLSTMTrainingConfig(
            model=ConvLSTMConfig(width=4, layers=1, kernel=3, size=SIDE), num_past=3, num_future=2
        ),
    ),
    "action": (
        train_pose_classifier,
        PoseActionTrainingConfig(model=PoseClassifierConfig(width=8, dropout=0.1), num_frames=12),
    ),
    "flow": (
        train_flow_classifier,
        FlowActionTrainingConfig(model=FlowClassifierConfig(num_flows=3, width=8)),
    ),
}
NORMED = ("estimator", "outline", "carrying", "flow")
FEW = {"batch_size": 4, "validate_every": 0, "checkpoint_every": 100, "log_every": 5}
STEPS = 2 * PLAIN_CALLS + 1
"""Plain ones, one that is recorded, and some that are only replayed."""


@pytest.fixture(scope="module")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stores") / "store"
    write_random_store(path, Sizes(side=SIDE, clips=8))
    (path / "masks").mkdir()
    for clip in Store.open(path).clips:
        masks = np.zeros((clip.num_frames, SIDE, SIDE), np.uint8)
        np.save(masks_path(path, clip.clip_id), masks)
    return path


def _with_validation(config: Any, store_path: Path) -> Any:
    """Of two clips; those that are held out by groups have some as they are."""
    if isinstance(config, GroupTrainingConfig):
        return config
    ids = tuple(clip.clip_id for clip in Store.open(store_path).clips)
    known, held_out = (replace(config.clips, clips=part) for part in (ids[:6], ids[6:]))
    return config.but(clips=known, validation=held_out)


def _assert_card_learns(kind: str, store_path: Path, folder: Path, *steps: int, **how: Any) -> None:
    """As the processor does, on a card that is none (`a_card`); validated, too."""
    train, config = KINDS[kind]
    config = config.but(**FEW | {"validate_every": 5}, device="cpu", **how)
    config = _steady(kind, _with_validation(config, store_path))
    train(config.but(steps=steps[-1]), store_path, folder / "here")
    with pytest.MonkeyPatch.context() as patch, pretended(patch) as card:
        for number in steps:
            train(config.but(steps=number), store_path, folder / "there")
    assert any(graph.replays > 1 for graph in card.graphs)
    assert card.races == []
    _assert_close(folder / "there", folder / "here")


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_learns_what_a_processor_does(kind, store_path, tmp_path):
    _assert_card_learns(kind, store_path, tmp_path, STEPS)


@pytest.mark.parametrize("kind", ["pose", "image"])
def test_a_card_goes_on(kind, store_path, tmp_path):
    _assert_card_learns(kind, store_path, tmp_path, 10, 15, schedule="constant")


def _move(optimizer: torch.optim.Optimizer, steps: int, recordable: bool = False) -> list[float]:
    if recordable:
        make_recordable(optimizer)
    weight = optimizer.param_groups[0]["params"][0]
    for number in range(steps):
        set_rate(optimizer.param_groups[0], 0.1 / (number + 1))
        optimizer.zero_grad()
        (weight**4).sum().backward()
        optimizer.step()
    return weight.tolist()


@pytest.mark.parametrize("kind", [TFAdam, TFRMSProp])
def test_numbers_kept_on_the_device_move_weights_alike(kind):
    plain, recordable = (kind([torch.nn.Parameter(torch.tensor([1.0, -2.0]))]) for _ in range(2))
    expected = _move(plain, 4)
    assert _move(recordable, 4, recordable=True) == pytest.approx(expected, rel=1e-6)
    # And go on with each other's state.
    load_optimizer(plain, copy.deepcopy(optimizer_state(recordable)))
    load_optimizer(recordable, copy.deepcopy(optimizer_state(plain)))
    assert isinstance(recordable.param_groups[0]["lr"], torch.Tensor)
    assert isinstance(plain.param_groups[0]["lr"], float)
    assert _move(recordable, 2) == pytest.approx(_move(plain, 2), rel=1e-6)


def _steady(kind: str, config: Any) -> Any:
    """With RMSProp where a bias has no effect: Adam makes whole steps of the noise that is its
    gradient."""
    return config.but(optimizer="rmsprop") if kind in NORMED else config


def _assert_close(one: Path, other: Path) -> None:
    expected = weights_of(other)
    for name, weight in weights_of(one).items():
        torch.testing.assert_close(weight, expected[name], rtol=2e-3, atol=2e-4, msg=name)
    for ours, theirs in zip(
        Run.open(one).read_metrics(), Run.open(other).read_metrics(), strict=True
    ):
        assert ours == pytest.approx(theirs, rel=2e-2, abs=1e-4)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_replayed_steps_give_the_weights_of_plain_ones(kind, store_path, tmp_path):
    train, config = KINDS[kind]
    config = _steady(kind, config.but(**FEW, steps=STEPS, device="cuda"))
    for how in ("off", "cuda-graphs"):
        train(config.but(compile=how), store_path, tmp_path / how)
    _assert_close(tmp_path / "cuda-graphs", tmp_path / "off")


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["pose", "image"])
@pytest.mark.parametrize("order", [("off", "auto"), ("auto", "off")])
def test_replayed_and_plain_steps_go_on_with_each_other(kind, order, store_path, tmp_path):
    train, config = KINDS[kind]
    config = config.but(**FEW, device="cuda", schedule="constant")
    train(config.but(steps=2 * STEPS, compile="off"), store_path, tmp_path / "straight")
    for steps, how in zip((STEPS, 2 * STEPS), order, strict=True):
        train(config.but(steps=steps, compile=how), store_path, tmp_path / "turns")
    for name, weight in weights_of(tmp_path / "straight").items():
        again = weights_of(tmp_path / "turns")[name]
        torch.testing.assert_close(weight, again, rtol=5e-3, atol=5e-4, msg=name)
