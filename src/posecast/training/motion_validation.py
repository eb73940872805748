"""Windows that the motion network is validated on, and its error on them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from posecast.computing.recording import on_device
from posecast.motion.neighbours import MotionBase
from posecast.motion.own_past import Weigh
from posecast.motion.seen import RECENT, joined
from posecast.motion.tracks import MotionTrack
from posecast.networks.motion_values import MotionInputs
from posecast.training import motion_windows

AHEAD = (1, 2, 4, 8, 16, 24, 33, 46, 64)
"""Frames ahead that errors are given for, spread evenly in logarithm."""
_SEEN_FOR_ALL = 60
_EVERY = 30


def validation_windows(
    tracks: Sequence[MotionTrack],
    base: MotionBase,
    apart: motion_windows.Apart | None = None,
    weigh: Weigh | None = None,
) -> dict[str, motion_windows.MotionWindows]:
    """Clips seen for ten frames; videos seen from their beginning, and for ten frames."""
    sets: dict[str, motion_windows.MotionWindows] = {}
    for name, is_clip, least in (
        ("clips", True, RECENT),
        ("videos", False, _SEEN_FOR_ALL),
        ("videos_ten", False, _SEEN_FOR_ALL),
    ):
        parts = []
        for number, track in enumerate(tracks):
            if track.is_clip != is_clip:
                continue
            last = RECENT if is_clip else len(track) - 1
            ends = np.arange(least - 1, last, _EVERY)
            starts = np.zeros_like(ends) if name != "videos_ten" else ends - RECENT + 1
            kinds = np.full_like(
                ends, motion_windows.KIND_FIRST if is_clip else motion_windows.KIND_VIDEO
            )
            if len(ends):
                parts.append(motion_windows.cut_windows(track, number, ends, starts, kinds, weigh))
        if parts:
            sets[name] = motion_windows.find_others(joined(parts), base, apart)
    return sets


def window_inputs(windows: motion_windows.MotionWindows) -> MotionInputs:
    """What the network reads of windows."""
    values = {name: vars(windows)[name] for name in MotionInputs.__dataclass_fields__}
    return MotionInputs(**{name: torch.from_numpy(each).float() for name, each in values.items()})


Forecast = Callable[[MotionInputs, Tensor], Float[Tensor, "b f j 2"]]
"""Displacements at frames of the horizon."""


def shares_of_last_pose(
    forecast: Forecast, windows: motion_windows.MotionWindows, device: torch.device
) -> Float[np.ndarray, " k"]:
    """Error as a share of the last pose's at `AHEAD`."""
    frames = torch.tensor(motion_windows.FRAMES, device=device)
    moved = forecast(on_device(window_inputs(windows), device), frames).float().cpu().numpy()
    future = windows.future.astype(np.float32)
    unit = windows.scale[:, None, None] * windows.future_visible
    error = (np.linalg.norm(moved - future, axis=-1) * unit).sum(axis=(0, 2))
    still = (np.linalg.norm(future, axis=-1) * unit).sum(axis=(0, 2))
    at = [motion_windows.FRAMES.index(ahead - 1) for ahead in AHEAD]
    return error[at] / np.maximum(still[at], 1e-9)


def mean_share(shares: Mapping[str, Float[np.ndarray, " k"]]) -> dict[str, float]:
    """Each set's mean over frames, and the mean of those."""
    scores = {f"validation_{name}": float(each.mean()) for name, each in shares.items()}
    return {**scores, "validation_ratio": float(np.mean(list(scores.values())))}
