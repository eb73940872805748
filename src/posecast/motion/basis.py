"""Displacements over time as a few cosines, all of them zero at the last seen frame.

Forecasts written in this basis join the seen motion in place, whatever the coefficients. Time is
warped (share of the horizon to a power below 1), so that the near future is finer than the far one.
"""

from functools import cache

import numpy as np
from jaxtyping import Float

HORIZON = 64
"""Frames ahead that a forecast describes at once."""
FPS = 30.0
"""Frames a second of everything in this room; motion at another rate is resampled first."""
NUM_COSINES = 20
_WARP = 0.6


@cache
def cosine_basis() -> Float[np.ndarray, "t m"]:
    """Orthonormal columns; row t is the frame t + 1 after the last seen one."""
    ahead = (np.arange(1, HORIZON + 1) / HORIZON) ** _WARP
    waves = np.cos(np.pi * ahead[:, None] * np.arange(1, NUM_COSINES + 1)) - 1
    basis = np.linalg.qr(waves)[0].astype(np.float32)
    basis.setflags(write=False)
    return basis


def to_cosines(moved: Float[np.ndarray, "*b t j 2"]) -> Float[np.ndarray, "*b m j 2"]:
    """Coefficients of displacements from the last seen pose."""
    return np.einsum("...tjc,tm->...mjc", moved, cosine_basis())


def from_cosines(coefficients: Float[np.ndarray, "*b m j 2"]) -> Float[np.ndarray, "*b t j 2"]:
    """Displacements of coefficients."""
    return np.einsum("...mjc,tm->...tjc", coefficients, cosine_basis())
