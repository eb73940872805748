"""What is timed: the works of the table, each made ready once and then done again and again."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.speed.features import random_feature_networks
from posecast.clips import ImageBatch, PoseBatch, SeenVideo
from posecast.computing.compilation import Compile, is_recorded
from posecast.computing.devices import ComputeConfig, Device, ForecasterOptions, Precision
from posecast.computing.recording import on_device, recorded
from posecast.datasets.penn_action import PAPER_ACTIONS
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.generator_drawer import GeneratorDrawer
from posecast.forecasting.lstm import LSTMForecaster
from posecast.geometry import Crop
from posecast.networks.discriminator import DiscriminatorConfig
from posecast.networks.generator import Generator, GeneratorConfig
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.skeletons import PENN_ACTION
from posecast.store.files import StoreInfo
from posecast.store.reading import Store, StoredClip
from posecast.store.writing import store_writer, write_clip
from posecast.training.image import (
    ImageTraining,
    ImageTrainingConfig,
    half_of,
    ready_network,
    train_iteration,
)
from posecast.training.image_steps import FeatureNetworks, image_tensors
from posecast.training.optimizers import build_optimizer
from posecast.training.pose import pose_step
from posecast.training.settings import FitConfig
from posecast.windows import ImagePairs, ImagePairSampler

MODES: dict[str, Precision] = {"fp32": "32-true", "bf16": "bf16-mixed"}
"""Names of precisions here -> in the settings of posecast."""


@dataclass(frozen=True)
class Sizes:
    """How large the works are; the defaults are the paper's."""

    side: int = 128
    """Pictures, in pixels."""
    width: int = 64
    """Channels of generator and discriminator at full resolution."""
    image_batch: int = 8
    hidden: int = 1024
    """LSTM units."""
    pose_batch: int = 256
    num_past: int = 10
    num_future: int = 32
    steps: int = 64
    """Frames to forecast."""
    clips: int = 8
    """Clips in the store and in the joint forecast."""
    features: bool = True
    """With both feature networks."""
    compile: Compile = "auto"
    """See the settings of image training."""


QUICK = Sizes(16, 4, 2, 16, 4, 3, 4, 3, 2, features=False)
"""Nothing worth knowing, but soon: for tests."""


def write_random_store(path: Path, sizes: Sizes) -> Store:
    """A store of noise: clips of 100 frames."""
    rng = np.random.default_rng(0)
    info = StoreInfo("noise", PENN_ACTION.name, sizes.side, "union", 5, 10, "linear", 0.0)
    with store_writer(path, info) as writer:
        for number in range(sizes.clips):
            clip = StoredClip(
                clip_id=f"{number:04d}",
                action=PAPER_ACTIONS[number % len(PAPER_ACTIONS)],
                split="train",
                official_split="train",
                fps=30.0,
                image_hw=(270, 480),
                crop=Crop(100, 20, 340, 260),
                box_px=(105.0, 25.0, 335.0, 255.0),
                joints_px=rng.uniform(120, 240, (100, 13, 2)).astype(np.float32),
                visible=np.ones((100, 13), bool),
                has_frames=True,
            )
            write_clip(path, clip, rng.integers(0, 256, (100, sizes.side, sizes.side, 3), np.uint8))
        writer.finish({})
    return Store.open(path)


def loading(store: Store, sizes: Sizes) -> Callable[[], ImageBatch]:
    """Read one training batch of frame pairs and poses, another one each time."""
    sampler = ImagePairSampler(store, store.clips, ImagePairs(), sizes.image_batch)
    steps = iter(range(10**9))
    return lambda: sampler.batch(0, next(steps))


def heatmaps(sizes: Sizes, device: torch.device) -> Callable[[], object]:
    """From a batch as it is loaded to what the networks read: all heat maps of both poses."""
    batch = on_device(_random_pairs(sizes), device)
    return lambda: image_tensors(batch, PENN_ACTION, 8.0)


def pose_training(sizes: Sizes, precision: str, device: torch.device) -> Callable[[], object]:
    """One update of the pose LSTM as in 2017: RMSProp, gradients clipped."""
    torch.manual_seed(0)
    fabric = ComputeConfig(_name(device), MODES[precision]).launch()
    model = PoseLSTM(PoseLSTMConfig(hidden=sizes.hidden)).to(device)
    fit = FitConfig(optimizer="rmsprop", learning_rate=1e-3)
    optimizer = build_optimizer(model, fit, is_recorded(sizes.compile, device))
    shape = (sizes.pose_batch, sizes.num_past + sizes.num_future, PENN_ACTION.num_joints)
    batch = PoseBatch(torch.rand(*shape, 2) * 2 - 1, torch.rand(*shape) < 0.9, sizes.num_past)
    batch = on_device(batch, device)

    def step(batch: PoseBatch) -> torch.Tensor:
        with fabric.autocast():
            loss, metrics = pose_step(model, batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 25.0)
        optimizer.step()
        return metrics["loss"]

    return functools.partial(recorded(step, sizes.compile, device), batch)


def lstm_flop(sizes: Sizes, num_frames: int, batch: int, training: bool) -> int:
    """Products of the LSTM; training needs about twice as many again for the gradients."""
    inputs = PoseLSTMConfig().encoder + sizes.hidden
    forward = 2 * num_frames * batch * inputs * 4 * sizes.hidden
    return forward * (3 if training else 1)


def image_iteration(
    sizes: Sizes, precision: str, device: torch.device
) -> Callable[[ImageBatch], object]:
    """One iteration, heat maps included, with all losses, in which both networks learn."""
    mode = MODES[precision]
    config = ImageTrainingConfig(
        generator=GeneratorConfig(width=sizes.width, size=sizes.side),
        discriminator=DiscriminatorConfig(width=sizes.width, size=sizes.side),
        gating="off",
    ).but(batch_size=sizes.image_batch, precision=mode, compile=sizes.compile)
    if not sizes.features:
        config = replace(config, feature_weight=0.0, pose_feature_weight=0.0)
    networks = random_feature_networks() if sizes.features else FeatureNetworks()
    networks = FeatureNetworks(*(ready_network(network, device, config) for network in networks))
    fabric = ComputeConfig(_name(device), mode).launch()
    training = ImageTraining.start(config, device)

    def iteration(batch: ImageBatch) -> object:
        pairs = image_tensors(batch, PENN_ACTION, config.sigma_px, half_of(config))
        return train_iteration(training, pairs, networks, config, fabric)

    return recorded(iteration, sizes.compile, device)


def image_training(sizes: Sizes, precision: str, device: torch.device) -> Callable[[], object]:
    """One iteration of image training, always on the same pairs."""
    batch = on_device(_random_pairs(sizes), device)
    return functools.partial(image_iteration(sizes, precision, device), batch)


def twice(sizes: Sizes, precision: str) -> None:
    """Two iterations on the CPU, networks built inside: for measuring memory elsewhere."""
    work = image_training(sizes, precision, torch.device("cpu"))
    work()
    work()


def forecasting(
    sizes: Sizes, num_clips: int, precision: str, device: torch.device
) -> Callable[[], object]:
    """From seen poses and one frame of each clip to the bytes of its future frames."""
    torch.manual_seed(0)
    options = ForecasterOptions(_name(device), MODES[precision], compile=sizes.compile)
    network = PoseLSTM(PoseLSTMConfig(hidden=sizes.hidden))
    poses = LSTMForecaster(network, PENN_ACTION, sizes.num_past, device=device)
    image = Generator(GeneratorConfig(width=sizes.width, size=sizes.side))
    forecaster = Forecaster(poses, GeneratorDrawer(image, PENN_ACTION, options=options))
    rng = np.random.default_rng(0)
    crop, shown = Crop(0, 0, 240, 240), np.ones((sizes.num_past, 13), bool)
    frame = rng.integers(0, 256, (1, sizes.side, sizes.side, 3), np.uint8)
    seen = [
        SeenVideo(joints, shown, 30.0, (240, 240), frame, crop)
        for joints in rng.uniform(48, 192, (num_clips, sizes.num_past, 13, 2))
    ]

    def forecast() -> None:
        poses = forecaster.forecast_poses(seen, sizes.steps)
        for each, future in zip(seen, poses, strict=True):
            forecaster.draw(each, future)

    return forecast


def _random_pairs(sizes: Sizes) -> ImageBatch:
    generator = torch.Generator().manual_seed(0)
    shape = (sizes.image_batch, sizes.side, sizes.side, 3)
    images = torch.randint(0, 256, (2, *shape), generator=generator, dtype=torch.uint8)
    joints = torch.rand(2, sizes.image_batch, PENN_ACTION.num_joints, 2, generator=generator)
    visible = torch.ones(sizes.image_batch, PENN_ACTION.num_joints, dtype=torch.bool)
    hw = torch.full((sizes.image_batch, 2), 240.0)
    return ImageBatch(
        images[0][:, None], images[1], joints[0][:, None], visible[:, None], joints[1], visible, hw
    )


def _name(device: torch.device) -> Device:
    return "cuda" if device.type == "cuda" else "cpu"
