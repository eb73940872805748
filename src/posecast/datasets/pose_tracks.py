"""Tracks of people in videos, found by a pose estimator, in one .npz file.

    joints_px_x16 (frames, j, 2) int16    pixels times 16, all videos one after the other
    confidence (frames, j) uint8          times 255
    lengths, fps, group, clip             a row a video
    cut_track, cut_frame                  where a cut begins a new shot

Estimates are wrong now and then, so joints that are not sure or that leap are hidden, and a track
ends where the whole body leaps.
"""

import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from posecast.errors import PosecastError
from posecast.motion.tracks import MotionTrack
from posecast.records.files import reading

SURE = 0.3
"""Joints found with less confidence count as hidden."""
_LEAP = 0.12  # of the body, away from the median of five frames
_CUT = 0.25  # of the body, from one frame to the next
_SHORTEST = 12
_VARIABLES = ("joints_px_x16", "confidence", "lengths", "fps", "group", "clip", "cut_track")


def read_pose_tracks(path: Path) -> list[MotionTrack]:
    """All stretches without a cut that are long and sure enough; PosecastError for other files."""
    if not path.is_file():
        raise PosecastError(f"no file of pose tracks at {path}")
    with reading(path), np.load(path) as file:
        missing = [name for name in _VARIABLES if name not in file]
        if missing:
            raise PosecastError(f"{path} holds no pose tracks: it lacks {', '.join(missing)}")
        arrays = {name: file[name] for name in file.files}
    ends = np.cumsum(arrays["lengths"])
    tracks = []
    for row, end in enumerate(ends):
        frames = slice(end - arrays["lengths"][row], end)
        joints = arrays["joints_px_x16"][frames].astype(np.float32) / 16
        sure = arrays["confidence"][frames] >= SURE * 255
        cuts = arrays["cut_frame"][arrays["cut_track"] == row].tolist()
        name, group = str(arrays["clip"][row]), str(arrays["group"][row])
        tracks += _stretches(name, group, joints, sure, cuts, float(arrays["fps"][row]))
    return tracks


def pose_tracks_of(path: Path, held_out: bool) -> list[MotionTrack]:
    """Those of the fifth of the groups that validates (every fifth name in their order, the first
    one on), or those of the others."""
    tracks = read_pose_tracks(path)
    apart = set(sorted({track.group for track in tracks})[::5])
    return [track for track in tracks if (track.group in apart) == held_out]


def _stretches(
    name: str,
    group: str,
    joints: Float[np.ndarray, "t j 2"],
    sure: Bool[np.ndarray, "t j"],
    cuts: list[int],
    fps: float,
) -> list[MotionTrack]:
    size = np.median((joints.max(axis=1) - joints.min(axis=1)).max(axis=-1))
    steps = np.median(np.linalg.norm(np.diff(joints, axis=0), axis=-1), axis=1)
    leaps = (np.flatnonzero(steps > _CUT * size) + 1).tolist()
    bounds = [0, *sorted({*cuts, *leaps}), len(joints)]
    tracks = []
    for number, (first, end) in enumerate(pairwise(bounds)):
        if end - first < _SHORTEST:
            continue
        shown = hide_leaps(joints[first:end], sure[first:end])
        if shown.mean() >= 0.5:
            facts = {"group": group, "trimmed": False}
            tracks.append(
                MotionTrack.at_rate(f"{name}_{number}", joints[first:end], shown, fps, **facts)
            )
    return tracks


def hide_leaps(
    joints: Float[np.ndarray, "t j 2"], visible: Bool[np.ndarray, "t j"]
) -> Bool[np.ndarray, "t j"]:
    """Visible joints that stay near the median of the five frames around them."""
    known = np.where(visible[..., None], joints, np.nan)
    padded = np.pad(known, ((2, 2), (0, 0), (0, 0)), constant_values=np.nan)
    around = np.stack([padded[first : first + len(joints)] for first in range(5)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all hidden
        median = np.nanmedian(around, axis=0)
        size = np.nanmedian((np.nanmax(known, axis=1) - np.nanmin(known, axis=1)).max(axis=-1))
    near = np.linalg.norm(known - median, axis=-1) <= _LEAP * size
    return visible & near
