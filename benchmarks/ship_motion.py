"""Make the files that ship of trained motion networks.

    python -m benchmarks.ship_motion SEEDS.safetensors DATABASE STORE FOLDER --tracks TRACKS
        --members 0 1

Some of the seeds that `benchmarks.motion_many` left become one network, whose forecasts are their
mean; or, where SEEDS is the first of several folders, those runs of `posecast train motion` do (the
others follow as `--runs`), or, where SEEDS is a name such as motion-forecaster, what ships of it.
`--moments` adds what `benchmarks.motion_moments` learned, and
`--packed` (what `benchmarks.motion_pack` left) has the network learn anew how far to trust its own
past with it. `--trust` takes what `benchmarks.motion_trust` learned of how far to go. The radii of
50 and 90 % are widened or narrowed, frame by frame, until they hold so many of the true joints of
validation clips and, with `--tracks`, of videos of held-out groups.
Weights are stored in half precision.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.motion_judged import Window, clip_windows, joined, video_windows
from benchmarks.motion_mixing import learn_mixing
from posecast.forecasting.motion import MotionForecaster
from posecast.motion.basis import HORIZON
from posecast.motion.neighbours import BASE_FILE, MotionBase
from posecast.motion.seen import RECENT
from posecast.networks.kinds import load_network
from posecast.networks.motion_residual import QUANTILES, MotionResidual
from posecast.records.configs import config_to_dict
from posecast.records.weights import WeightsFacts, read_tensors, write_weights
from posecast.store.reading import Store

NAME = "motion-forecaster"
_KNOTS = (1, 2, 4, 8, 16, 32, 64)


def widening(forecaster: MotionForecaster, sets: list[list[Window]]) -> np.ndarray:
    """Logarithms by which the radii of each level and frame are to be changed, (levels, frames)."""
    changes = []
    for windows in sets:
        off = []
        for each in windows:
            future = forecaster.forecast_poses([each.seen], HORIZON)[0].joints_px[0]
            distance = np.linalg.norm(future - each.future_px, axis=-1)
            ratio = np.log(np.maximum(distance, 1e-6) / forecaster.radii_px(each.seen))
            off.append(np.where(each.counted, ratio, np.nan))
        found = [
            [np.nanquantile(np.stack(off)[:, level, k - 1], QUANTILES[level]) for k in _KNOTS]
            for level in range(len(QUANTILES))
        ]
        changes.append(found)
    frames = np.log(np.arange(1, HORIZON + 1))
    return np.stack([np.interp(frames, np.log(_KNOTS), row) for row in np.mean(changes, axis=0)])


def of_runs(runs: Sequence[Path]) -> tuple[MotionResidual, WeightsFacts]:
    """One network of several runs of the same design; all else is the first one's."""
    loaded = [load_network(run, MotionResidual) for run in runs]
    network = MotionResidual(replace(loaded[0].network.config, members=len(runs)))
    state = loaded[0].network.state_dict() | {
        f"members.{place}.{name}": tensor
        for place, each in enumerate(loaded)
        for name, tensor in each.network.members[0].state_dict().items()
    }
    network.load_state_dict(state)
    return network, replace(loaded[0].facts, config=config_to_dict(network.config))


def with_moments(
    network: MotionResidual, facts: WeightsFacts, moments: Path
) -> tuple[MotionResidual, WeightsFacts]:
    """The same with weights of the own past's moments."""
    config = replace(network.config, learned_moments=True, moment_parts=True)
    weighing = MotionResidual(config)
    weighing.members.load_state_dict(network.members.state_dict())
    assert weighing.moments is not None
    weighing.moments.load_state_dict(read_tensors(moments))
    return weighing, replace(facts, config=config_to_dict(config))


def with_trust(
    network: MotionResidual, facts: WeightsFacts, trust: Path
) -> tuple[MotionResidual, WeightsFacts]:
    """The same with another head that says how far to go, told whether clips are cut."""
    told = MotionResidual(replace(network.config, trimmed=True))
    heads = {
        f"members.{number}.trust.{name}": tensor
        for number in range(len(network.members))
        for name, tensor in read_tensors(trust).items()
    }
    told.load_state_dict(network.state_dict() | heads)
    return told, replace(facts, config=config_to_dict(told.config))


def main() -> None:
    """Write FOLDER/motion-forecaster.safetensors and the database beside it."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    for name in ("seeds", "database", "store", "folder"):
        flags.add_argument(name, type=Path)
    flags.add_argument("--tracks", type=Path)
    flags.add_argument("--moments", type=Path)
    flags.add_argument("--packed", type=Path)
    flags.add_argument("--trust", type=Path)
    flags.add_argument("--runs", type=Path, nargs="*", default=[])
    flags.add_argument("--members", type=int, nargs="+", default=[0, 1])
    asked = flags.parse_args()
    if asked.seeds.is_dir():
        network, facts = of_runs([asked.seeds, *asked.runs])
    elif asked.seeds.suffix:
        network, facts = joined(asked.seeds, asked.members)
    else:
        shipped = load_network(str(asked.seeds), MotionResidual)
        network, facts = shipped.network, shipped.facts
    if asked.moments:
        network, facts = with_moments(network, facts, asked.moments)
    if asked.packed and network.moments is None:
        flags.error("--packed needs weights of moments: give --moments, or runs that learned them")
    base = MotionBase.load(asked.database)
    if asked.packed:
        learn_mixing(network.float(), base, asked.packed)
    if asked.trust:
        network, facts = with_trust(network, facts, asked.trust)
    sets = [clip_windows(Store.open(asked.store), final=False)]
    if asked.tracks:
        sets += [video_windows(asked.tracks, seen) for seen in (None, RECENT)]
    change = torch.from_numpy(widening(MotionForecaster(network, base), sets)).float()
    for member in network.members:
        member.get_buffer("widening").add_(change)
    tensors = {name: tensor.half() for name, tensor in network.state_dict().items()}
    asked.folder.mkdir(parents=True, exist_ok=True)
    write_weights(asked.folder / f"{NAME}.safetensors", tensors, facts)
    base.save(asked.folder / BASE_FILE)


if __name__ == "__main__":
    main()
