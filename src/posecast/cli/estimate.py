"""`posecast estimate`: poses from the frames of a store."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from posecast.cli.parsing import parse, print_json
from posecast.computing.devices import Flat
from posecast.estimation import EstimationConfig, estimate_store
from posecast.pretrained import DEFAULT_ESTIMATOR


@dataclass(frozen=True)
class Estimate:
    """Find poses in the frames of a store and add them beside its labels.

    'predict' and 'evaluate' start from them with --seen-poses estimated. Ends with PCK@0.2 by
    joint against the labels, beside the mean pose; test clips are scored with --final only.

    Examples:
      posecast estimate store
      posecast estimate store --run runs/estimator
      posecast estimate store --run runs/estimator --clips.split validation
      posecast estimate store --run pose_landmarker.task
    """

    store: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="STORE")]
    """Prepared store with frames."""
    run: Path = Path(DEFAULT_ESTIMATOR)
    """Shipped weights by name ('posecast models'), a run of 'posecast train estimator', or a model
    file (.safetensors, .task or .onnx)."""
    json: bool = False
    """Print one JSON value in place of lines for people."""
    config: Flat[EstimationConfig] = EstimationConfig()


def estimate(words: list[str], program: str) -> int:
    """`posecast estimate STORE [--run RUN]`."""
    asked = parse(Estimate, words, program)
    report = estimate_store(asked.store, asked.run, asked.config)
    if asked.json:
        print_json(report)
    else:
        print(f"{asked.store}: {report.summary()}")
    return 0
