"""The clean variant of the pose forecasting benchmark (E), on validation clips.

    python -m benchmarks.motion_protocol_e STORE --run RUN [--other RUN ...]

PCK at 0.05 of the last pose and of pose runs at steps 1 to 16, with 1 and with 10 frames seen, and
of each run the difference from the last pose; half-widths are of 95 % intervals over clips. On
test clips `posecast benchmark penn-pose` does the same.
"""

import argparse
from pathlib import Path

import numpy as np
from jaxtyping import Float

from benchmarks.markdown import give_or_take, head, row
from posecast.computing.devices import ForecasterOptions
from posecast.evaluation.baselines import LastPose
from posecast.evaluation.penn_protocol import (
    NUM_TARGETS,
    PennPoseProtocol,
    penn_pose_scores,
    percent,
)
from posecast.evaluation.summary import bootstrap
from posecast.forecasting.loading import load_pose_forecaster
from posecast.forecasting.protocols import PoseForecaster
from posecast.store.reading import ClipSelection, Store

_DRAWS = 1000


def half_widths(drawn: Float[np.ndarray, "d k"]) -> Float[np.ndarray, " k"]:
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return (high - low) / 2


def line(name: str, values: Float[np.ndarray, " k"], halves: Float[np.ndarray, " k"]) -> str:
    return row(name, *give_or_take(values, halves, 1))


def main() -> None:
    """Print a table."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    flags.add_argument("store", type=Path)
    flags.add_argument("--run", type=str, required=True)
    flags.add_argument("--other", type=str, nargs="*", default=[])
    asked = flags.parse_args()
    clips = Store.open(asked.store).select(ClipSelection("validation"))
    clips = [clip for clip in clips if clip.num_frames > NUM_TARGETS + 1]
    draws = bootstrap(len(clips), _DRAWS, seed=0)
    methods: dict[str, PoseForecaster] = {"last pose": LastPose()}
    options = ForecasterOptions(lively=False)
    runs = (*asked.other, asked.run)
    methods |= {Path(run).name: load_pose_forecaster(run, options) for run in runs}
    for seen in (1, 10):
        print("\n" + head(f"{len(clips)} clips, {seen} seen", *range(1, NUM_TARGETS + 1)))
        protocol = PennPoseProtocol("E", seen)
        still_hits, counts = penn_pose_scores(methods["last pose"], clips, protocol)
        still = percent(still_hits.sum(axis=0), counts.sum(axis=0))
        still_drawn = percent(draws @ still_hits, draws @ counts)
        for name, forecaster in methods.items():
            hits, _ = penn_pose_scores(forecaster, clips, protocol)
            value = percent(hits.sum(axis=0), counts.sum(axis=0))
            drawn = percent(draws @ hits, draws @ counts)
            print(line(name, value, half_widths(drawn)), flush=True)
            if name != "last pose":
                print(line("above it by", value - still, half_widths(drawn - still_drawn)))


if __name__ == "__main__":
    main()
