"""The pose files of Human3.6M: CDF as published, or MATLAB as made from it for the 2017 code."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from posecast.datasets.matlab import read_matlab
from posecast.errors import PosecastError
from posecast.skeletons import HUMAN36M

_NUM_NUMBERS = 2 * HUMAN36M.num_joints
_LARGEST_PX = 1e5
"""No joint is so far away; CDF files mark missing numbers by about -1e30."""
_MOST_NUMBERS = 10_000_000
"""Hundreds of times the longest clip: what a damaged length may not ask memory for."""


class PoseFileError(PosecastError):
    """The file cannot be read; the message says why, without its name."""


def read_pose_file(path: Path) -> Float[np.ndarray, "t j 2"]:
    """Joints in pixels, as the file has them (variable `Pose` or `data`: x, y of each in turn).

    PoseFileError where the file is missing, damaged or holds something else.
    """
    values = _read_mat(path) if path.suffix == ".mat" else _read_cdf(path)
    if values.ndim == 3 and len(values) == 1:  # the one record of a CDF variable
        values = values[0]
    if values.ndim != 2 or values.shape[1] != _NUM_NUMBERS or len(values) == 0:
        raise PoseFileError(f"its poses have shape {values.shape}, expected (t, {_NUM_NUMBERS})")
    if values.dtype.kind not in "iuf":
        raise PoseFileError(f"its poses are {values.dtype}, expected numbers")
    joints = values.astype(np.float64).reshape(len(values), HUMAN36M.num_joints, 2)
    if not (np.abs(joints) < _LARGEST_PX).all():
        raise PoseFileError("it holds NaN, infinite or absurdly large numbers")
    return joints


def _read_cdf(path: Path) -> np.ndarray:
    import cdflib  # slow to import, and only this data set needs it

    try:
        file = cdflib.CDF(path)
        sizes = file.varinq("Pose")
        count = (sizes.Last_Rec + 1) * int(np.prod([int(size) for size in sizes.Dim_Sizes]))
        if not 0 < count <= _MOST_NUMBERS:
            raise PoseFileError(f"its variable Pose claims to hold {count} numbers")
        return np.asarray(file.varget("Pose"))
    except PoseFileError:
        raise
    # On a damaged file cdflib fails with whatever its parsing runs into, of a dozen types.
    except Exception as error:
        raise PoseFileError(
            f"not a whole CDF file with a variable Pose ({error or type(error).__name__})"
        ) from error


def _read_mat(path: Path) -> np.ndarray:
    try:
        values = read_matlab(path).get("data")
    except (OSError, ValueError) as error:
        raise PoseFileError(str(error)) from error
    if not isinstance(values, np.ndarray):
        raise PoseFileError("it holds no array 'data'")
    return values
