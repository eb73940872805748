"""Training the ConvLSTM baseline on stretches of frames."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from posecast.errors import PosecastError
from posecast.media.grey_levels import to_network
from posecast.networks.conv_lstm import ConvLSTM, ConvLSTMConfig
from posecast.store.identity import training_data
from posecast.store.reading import ClipSelection, Store, StoredClip
from posecast.training.fitting import (
    FitConfig,
    FitResult,
    fit_network,
    hold_out,
    in_batches,
)


@dataclass(frozen=True)
class ConvLSTMTrainingConfig:
    """How the ConvLSTM baseline is trained."""

    model: ConvLSTMConfig = field(default_factory=ConvLSTMConfig)
    num_past: int = 10
    """Frames seen."""
    num_future: int = 10
    """Frames forecast in training; more can be forecast later."""
    clips: ClipSelection = field(default_factory=lambda: ClipSelection(with_frames=True))
    """Clips to train on."""
    validation: ClipSelection = field(
        default_factory=lambda: ClipSelection(split="validation", with_frames=True)
    )
    """Clips that the best weights are chosen on; never test clips."""
    validation_windows: int = 16
    """Windows in a validation, from the start of the first clips."""
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(20_000, 8, validate_every=500, weight_decay=0.0)
    )

    def __post_init__(self) -> None:
        for name in ("num_past", "num_future", "validation_windows"):
            if getattr(self, name) < 1:
                raise PosecastError(f"{name} is {getattr(self, name)}; it must be 1 or more")


def train_conv_lstm(
    config: ConvLSTMTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> FitResult:
    """Train the baseline on a prepared store, or go on with the run in `run_path`.

    PosecastError where config, store or run do not fit.
    """
    store = Store.open(store_path)
    if config.model.size != store.size:
        raise PosecastError(
            f"the store has frames of {store.size} px, the model is for {config.model.size}: set "
            f"model.size to {store.size}"
        )
    validates = config.fit.validate_every > 0
    held = hold_out(store, config.clips, config.validation, validates)
    clips = _long_enough(held.train, config)
    data = training_data(store, held.train, held.validation)
    torch.manual_seed(config.fit.seed)
    network = ConvLSTM(config.model)
    shown = _long_enough(held.validation, config)[: config.validation_windows] if validates else []

    def loss_of(step: int, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
        frames = torch.from_numpy(_batch(store, clips, config, step)).to(device)
        return conv_lstm_step(network, to_network(frames), config.num_past)

    def score_of(device: torch.device) -> dict[str, float]:
        return _score(network, store, shown, config, device)

    score = score_of if validates else None
    return fit_network(network, config, "conv_lstm", run_path, data, loss_of, score, fresh)


def conv_lstm_step(
    network: ConvLSTM, frames: Float[Tensor, "b t 3 h w"], num_past: int
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Squared plus absolute error of the forecast frames, and what to log of it."""
    future = frames[:, num_past:]
    difference = network(frames[:, :num_past], future.shape[1]) - future
    squared, absolute = difference.square().mean(), difference.abs().mean()
    loss = squared + absolute
    return loss, {"loss": loss.detach(), "mse": squared.detach(), "l1": absolute.detach()}


def _long_enough(clips: Sequence[StoredClip], config: ConvLSTMTrainingConfig) -> list[StoredClip]:
    needed = config.num_past + config.num_future
    usable = [clip for clip in clips if clip.has_frames and clip.num_frames >= needed]
    if not usable:
        raise PosecastError(
            f"none of the {len(clips)} clips has frames and at least {needed} of them: choose "
            "others, or see and forecast fewer"
        )
    return usable


def _batch(
    store: Store, clips: Sequence[StoredClip], config: ConvLSTMTrainingConfig, step: int
) -> UInt8[np.ndarray, "b t h w 3"]:
    rng = np.random.default_rng((config.fit.seed, step))
    length = config.num_past + config.num_future
    chosen = [clips[number] for number in rng.integers(0, len(clips), config.fit.batch_size)]
    starts = [int(rng.integers(0, clip.num_frames - length + 1)) for clip in chosen]
    read = [
        store.read_frames(clip, slice(start, start + length))
        for clip, start in zip(chosen, starts, strict=True)
    ]
    return np.stack(read)


def _score(
    network: ConvLSTM,
    store: Store,
    clips: Sequence[StoredClip],
    config: ConvLSTMTrainingConfig,
    device: torch.device,
) -> dict[str, float]:
    """Share of the last frame's squared error that the forecast removes, over all windows."""
    length, past = config.num_past + config.num_future, config.num_past
    ours = still = 0.0
    for part in in_batches(clips, config.fit.batch_size):
        read = np.stack([store.read_frames(clip, slice(0, length)) for clip in part])
        frames = to_network(torch.from_numpy(read).to(device))
        predicted = network(frames[:, :past], config.num_future)
        ours += float((predicted - frames[:, past:]).square().sum())
        still += float((frames[:, past - 1 : past] - frames[:, past:]).square().sum())
    return {"skill": 1 - ours / max(still, 1e-12), "mse": ours, "mse_of_last_frame": still}
