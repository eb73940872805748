"""Shared fixtures; array shapes are checked at run time here and only here."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("posecast", "beartype.beartype")
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
