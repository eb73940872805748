"""Shared fixtures; array shapes are checked at run time here and only here."""

import os
import zipfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import jaxtyping
import numpy as np
import pytest
import torch

jaxtyping.install_import_hook("posecast", "beartype.beartype")
torch.set_num_threads(1)

SHARED = Path(__file__).resolve().parents[2] / "shared"
GOLDEN = Path(__file__).resolve().parent / "parity" / "golden"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with real data and reference numbers beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data: {SHARED} is absent")
    return SHARED


@pytest.fixture(scope="session")
def golden():
    """Load a file of reference numbers as a dict: golden("lstm_train") -> {name: array}."""

    def load(name: str) -> dict[str, np.ndarray]:
        paths = [folder / f"{name}.npz" for folder in (GOLDEN, SHARED / "golden")]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            pytest.skip(f"no reference numbers: {paths[-1]} is absent")
        with np.load(path) as arrays:
            return {key: arrays[key] for key in arrays.files}

    return load


@pytest.fixture
def unchecked():
    """As users call it: annotations check no shapes."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def release(tmp_path_factory) -> Path:
    """Folder with a store, three runs and forecasts, all made by commit 56aa31b.

    Commands: `synthesize data --num-clips 4 --image-hw 64 64 --num-frames 12 --actions jump_rope
    tennis_serve`, `prepare penn-action data store --size 16`, `train pose tiny`, `train image tiny
    --generator.width 2 --discriminator.width 2`, `train estimator tiny --model.width 4`, `predict
    --clips.split validation --steps 3 --view-scale 1`. Left out, to be small: TensorBoard's files,
    checkpoints but the pose run's, last weights, movies; and the folder that they were made in.
    """
    folder = tmp_path_factory.mktemp("release")
    with zipfile.ZipFile(Path(__file__).parent / "artefacts" / "release_56aa31b.zip") as file:
        file.extractall(folder)
    return folder
