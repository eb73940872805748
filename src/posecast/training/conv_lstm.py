"""Training the ConvLSTM baseline on stretches of frames."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from posecast.computing.devices import Flat
from posecast.media.grey_levels import to_network
from posecast.networks.conv_lstm import ConvLSTM, ConvLSTMConfig
from posecast.records.configs import check_at_least
from posecast.store.reading import Store, StoredClip
from posecast.training import settings
from posecast.training.fitting import Descent, FitResult, Validation, fit
from posecast.training.session import begin


@dataclass(frozen=True)
class ConvLSTMTrainingConfig(settings.FrameTrainingConfig):
    """How the ConvLSTM baseline is trained."""

    KIND = "conv_lstm"

    model: ConvLSTMConfig = ConvLSTMConfig()
    num_past: int = 10
    """Frames seen."""
    num_future: int = 10
    """Frames forecast in training; more can be forecast later."""
    validation_windows: int = 16
    """Windows in a validation, from the start of the first clips."""
    fit: Flat[settings.FitConfig] = settings.FitConfig(
        steps=20_000, batch_size=8, validate_every=500, weight_decay=0.0
    )

    def __post_init__(self) -> None:
        check_at_least(1, self, "num_past", "num_future", "validation_windows")


def train_conv_lstm(
    config: ConvLSTMTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> FitResult:
    """Train the baseline on a prepared store, or go on with the run in `run_path`.

    The best score is the share of the last frame's squared error that the forecast removes.
    PosecastError where config, store or run do not fit; see also `fitting.fit`.
    """
    store = settings.open_store(store_path, config, ConvLSTMTrainingConfig, "model.size")
    chosen = settings.choose_clips(config, store)
    needed = config.num_past + config.num_future
    clips = settings.ChosenClips(*(settings.long_enough(each, needed) for each in chosen))
    shown = clips.validation[: config.validation_windows]
    fabric = config.run_on.launch()
    share = settings.share_of(fabric, config.fit.batch_size)
    batches = functools.partial(_stretches, store, clips.train, config, share)
    score = functools.partial(_score, store, shown, config)
    validation = Validation(score, "validation_skill") if shown else None
    with begin(config, store, clips, run_path, fabric, fresh=fresh) as session:
        network = ConvLSTM(config.model)
        step = functools.partial(_step, config.num_past)
        return fit(Descent(network, step, session), batches, validation, session)


def _step(
    num_past: int, network: nn.Module, read: UInt8[Tensor, "b t h w 3"]
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Squared plus absolute error of the forecast frames, and what to log of it."""
    frames = to_network(read)
    future = frames[:, num_past:]
    difference = network(frames[:, :num_past], future.shape[1]) - future
    squared, absolute = difference.square().mean(), difference.abs().mean()
    loss = squared + absolute
    return loss, {"loss": loss.detach(), "mse": squared.detach(), "l1": absolute.detach()}


def _stretches(
    store: Store,
    clips: Sequence[StoredClip],
    config: ConvLSTMTrainingConfig,
    share: slice,
    number: int,
) -> UInt8[Tensor, "b t h w 3"]:
    """Stretches of clips' frames: these rows of batch number `number`."""
    length, size = config.num_past + config.num_future, config.fit.batch_size
    rng = np.random.default_rng((config.fit.seed, number))
    chosen = [clips[place] for place in rng.integers(0, len(clips), size)]
    starts = [int(rng.integers(0, clip.num_frames - length + 1)) for clip in chosen]
    rows = list(zip(chosen, starts, strict=True))[share]
    read = [store.read_frames(clip, slice(start, start + length)) for clip, start in rows]
    return torch.from_numpy(np.stack(read))


def _score(
    store: Store,
    clips: Sequence[StoredClip],
    config: ConvLSTMTrainingConfig,
    network: nn.Module,
    device: torch.device,
) -> dict[str, float]:
    """Mean squared errors over all windows, and by which share the forecast's is smaller."""
    length, past, size = config.num_past + config.num_future, config.num_past, config.fit.batch_size
    ours, still = [], []
    for first in range(0, len(clips), size):
        read = [store.read_frames(clip, slice(0, length)) for clip in clips[first : first + size]]
        frames = to_network(torch.from_numpy(np.stack(read)).to(device))
        seen, future = frames[:, :past], frames[:, past:]
        ours.append((network(seen, config.num_future) - future).square().mean(dim=(1, 2, 3, 4)))
        still.append((seen[:, -1:] - future).square().mean(dim=(1, 2, 3, 4)))
    mse, of_last = float(torch.cat(ours).mean()), float(torch.cat(still).mean())
    scores = {"skill": 1 - mse / max(of_last, 1e-12), "mse": mse, "mse_of_last_frame": of_last}
    return {f"validation_{name}": value for name, value in scores.items()}
