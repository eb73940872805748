"""A forecast of the sample with PyTorch's networks and with onnxruntime's, stage by stage.

python -m benchmarks.onnx [FOLDER_OF_POSECAST_EXPORT_ONNX] [--repeats 5]

Each stage is timed on the processor, threads as both choose them (OMP_NUM_THREADS for PyTorch);
the two backends take turns, and the median is told. Import and loading are not counted.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.markdown import head, row
from posecast.computing.devices import ForecasterOptions
from posecast.estimation import PoseEstimator
from posecast.estimation.estimator import EstimatorOptions
from posecast.export.running import load_onnx
from posecast.forecasting.forecaster import Forecaster
from posecast.own_video.forecast import forecast_video
from posecast.own_video.poses import EstimatedPoses, OwnVideoConfig
from posecast.pretrained import DEFAULT_DRAWER, DEFAULT_FORECASTER
from posecast.sample import SAMPLE

STEPS = 64


def stages_of(forecaster: Forecaster, finder: object) -> dict[str, Callable[[], object]]:
    """What is timed, for one backend."""
    source = EstimatedPoses(finder)  # pyright: ignore[reportArgumentType]
    config = OwnVideoConfig(steps=STEPS)
    seen = forecast_video(SAMPLE, forecaster, source, config=config).seen
    poses = forecaster.forecast_poses([seen], STEPS)[0]
    picture = seen.cut(seen.person_crop, source.estimator.size)[-1:]
    return {
        "estimator, one picture": lambda: source.estimator.estimate(picture),
        f"poses of {STEPS} frames": lambda: forecaster.forecast_poses([seen], STEPS),
        f"drawing {STEPS} frames": lambda: forecaster.draw(seen, poses),
        "the sample from video to frames": lambda: forecast_video(
            SAMPLE, forecaster, source, config=config
        ),
    }


def main() -> None:
    """Print one row a stage."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("onnx"))
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    options = ForecasterOptions(device="cpu")
    torch_stages = stages_of(
        Forecaster.load(DEFAULT_FORECASTER, DEFAULT_DRAWER, options),
        PoseEstimator.pretrained(options=EstimatorOptions(device="cpu")),
    )
    onnx_stages = stages_of(*load_onnx(asked.folder))
    print(head("stage", "PyTorch", "onnxruntime"))
    for name, run_torch in torch_stages.items():
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(asked.repeats):
            for run, kept in zip((run_torch, onnx_stages[name]), seconds, strict=True):
                start = time.perf_counter()
                run()
                kept.append(time.perf_counter() - start)
        print(row(name, *(f"{statistics.median(each):.3f} s" for each in seconds)))


if __name__ == "__main__":
    main()
