"""How a training begins or goes on: its run is held, its first weights are known."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor

from posecast.computing.compilation import Compile
from posecast.errors import PosecastError
from posecast.networks.kinds import KINDS, load_network
from posecast.records.arguments import as_path
from posecast.records.configs import config_from_dict
from posecast.records.runs import Run, RunError, checkpoints_in
from posecast.records.training_data import TrainingData
from posecast.records.training_runs import has_weights, training_run
from posecast.store.identity import training_data
from posecast.store.reading import Store
from posecast.training.settings import ChosenClips, FitConfig, TrainingConfig


class Session(NamedTuple):
    """A training that may begin or go on: see `begin`."""

    config: FitConfig
    run: Run
    fabric: Fabric
    compile: Compile
    initial: Mapping[str, Tensor] | None
    """Weights to start from instead of random ones."""


@contextlib.contextmanager
def begin(
    config: TrainingConfig,
    store: Store,
    clips: ChosenClips,
    run_path: str | Path,
    fabric: Fabric,
    *,
    fresh: bool = False,
    actions: Sequence[str] = (),
    beside: Sequence[TrainingData] = (),
) -> Iterator[Session]:
    """Hold the run while it is trained; networks made first in the block are the same everywhere.

    `beside`: what is learned from beside the store's clips. PosecastError, before anything is
    touched, where the run is another one, has learned from other clips, or cannot start from
    `fit.init_from`.
    """
    run_path = as_path(run_path, "run_path")
    goes_on = not fresh and bool(checkpoints_in(run_path))
    if goes_on:
        _refuse_other_schedule(config.fit, run_path)
    elif not fresh and has_weights(run_path):
        raise RunError(
            f"{run_path} holds weights but no checkpoint to go on from: training would overwrite "
            f"them. To train further, start a new run from them: --run ANOTHER --init-from "
            f"{run_path}; or start over with --fresh"
        )
    initial = None if goes_on else _initial_weights(config)
    data = training_data(store, *clips, actions, earlier=config.fit.init_from)
    data = replace(data, beside=tuple(beside))
    with training_run(
        run_path,
        config,
        config.KIND,
        data,
        fresh=fresh,
        may_change=config.MAY_CHANGE + _may_change(config.fit),
        writes=fabric.is_global_zero,
    ) as run:
        torch.manual_seed(config.fit.seed)
        yield Session(config.fit, run, fabric, config.run_on.compile, initial)


def _may_change(fit: FitConfig) -> tuple[str, ...]:
    """Settings that change how long, where and how often one looks, not what is learned."""
    names = [f"fit.{name}" for name in ("log_every", "checkpoint_every", "workers")]
    names += [f"run_on.{name}" for name in ("device", "num_devices", "num_nodes", "compile")]
    names += ["fit.validate_every"] if fit.patience == 0 else []
    return (*names, "fit.steps") if fit.schedule == "constant" else tuple(names)


def _refuse_other_schedule(fit: FitConfig, run_path: Path) -> None:
    """RunError where the run's own settings are not comparable, or why more steps are not."""
    stored = Run.open(run_path).config_dict
    further = f"--run ANOTHER --init-from {run_path}"
    if not {"fit", "run_on"} <= stored.keys():
        raise RunError(
            f"{run_path} was begun by an older posecast, whose settings were laid out otherwise: "
            "its weights can be used as ever, but this run cannot be continued. To train further, "
            f"start a new one from its weights: {further}; or start over with --fresh"
        )
    steps, schedule = stored["fit"].get("steps"), stored["fit"].get("schedule")
    if schedule == fit.schedule == "cosine" and steps != fit.steps:
        raise RunError(
            f"{run_path} is trained for {steps} steps with a cosine schedule, which brings the "
            f"learning rate down to 0 by then, so it cannot be made one of {fit.steps}. To train "
            f"further, start a new run from its weights: {further} --steps N. Or give --steps "
            f"{steps} to finish or use this one, or start over with --fresh"
        )


def _initial_weights(config: TrainingConfig) -> dict[str, Tensor] | None:
    """Weights of the run to start from; PosecastError where its network has another shape."""
    path, asked = config.fit.init_from, getattr(config, config.NETWORK)
    if path is None:
        return None
    earlier = load_network(path, KINDS[config.KIND].network)
    found = config_from_dict(type(asked), earlier.facts.config)
    if found != asked:
        raise PosecastError(
            f"init_from {path} has the {config.NETWORK} {found}, these settings {asked}; give the "
            f"same --{config.NETWORK} settings"
        )
    return earlier.network.state_dict()
