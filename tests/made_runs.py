"""Run folders for tests that train nothing."""

from pathlib import Path
from typing import Any

from posecast.records.runs import Run
from posecast.records.training_data import TrainingData
from posecast.records.training_runs import training_run


def make_run(path: Path, config: Any, kind: str, data: TrainingData | None = None) -> Run:
    """A run that was begun, or gone on with; what is saved into it is up to the test."""
    with training_run(path, config, kind, data) as run:
        return run
