"""Run by a test in one or two processes: STORE OUT NUM_DEVICES DEVICE.

Two iterations in double precision, each process on its share of the batch, and a whole training
through `train_image`. The first process writes the weights to OUT/double.pt and a run to OUT/run.
"""

import sys
from pathlib import Path

import torch
from drawn_squares import TINY
from torch import nn

from feature_weights import alexnet_layers
from posecast.computing.devices import ComputeConfig, Device
from posecast.computing.processes import join_batch_moments
from posecast.computing.recording import on_device
from posecast.networks.alexnet import BvlcAlexNet
from posecast.store.reading import Store
from posecast.training.image import ImageTraining, train_image, train_iteration
from posecast.training.image_steps import FeatureNetworks, ImagePairTensors, image_tensors
from posecast.training.settings import share_of
from posecast.windows import ImagePairSampler


def _normalised_by_batch() -> nn.Module:
    """What an hourglass does to a batch, without its size."""
    torch.manual_seed(7)
    norm = nn.BatchNorm2d(4, eps=1e-5, track_running_stats=False)
    return nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU()).requires_grad_(False)


def main(store_path: Path, out: Path, num_devices: int, device: Device) -> None:
    torch.set_num_threads(1)
    fabric = ComputeConfig(device, num_devices=num_devices).launch()
    store = Store.open(store_path)
    config = TINY.but(gating="off", feature_weight=1.0, pose_feature_weight=1.0)
    size = config.fit.batch_size
    sampler = ImagePairSampler(store, store.clips, config.pairs, size, share_of(fabric, size))
    networks = FeatureNetworks(
        BvlcAlexNet(alexnet_layers(1)).double().to(fabric.device),
        _normalised_by_batch().double().to(fabric.device),
    )
    for network in networks:
        join_batch_moments(network)
    training = ImageTraining.start(config, fabric.device)
    training.generator.double()
    training.discriminator.double()
    metrics = {}
    for step in range(2):
        batch = on_device(sampler.batch(0, step), fabric.device)
        pairs = image_tensors(batch, store.skeleton, sigma_px=2.0)
        wide = ImagePairTensors(**{name: t.double() for name, t in vars(pairs).items()})
        metrics = train_iteration(training, wide, networks, config, fabric).read()
    if fabric.is_global_zero:
        torch.save({"metrics": metrics, **training.state_dict()}, out / "double.pt")
    train_image(TINY.but(num_devices=num_devices, device=device), store_path, out / "run")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])  # type: ignore
