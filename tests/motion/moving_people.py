"""People made of ellipses, for tests of motion."""

import numpy as np

from posecast.motion.tracks import MotionTrack
from posecast.skeletons import PENN_ACTION


def swinging(frames: int, period: float, seed: int = 0) -> np.ndarray:
    """Thirteen joints, each on its own ellipse, all with one period."""
    rng = np.random.default_rng(seed)
    centre, reach = rng.uniform(0, 100, (13, 2)), rng.uniform(5, 20, (13, 2))
    phase = 2 * np.pi * np.arange(frames)[:, None, None] / period + rng.uniform(0, 6, (13, 2))
    return (centre + reach * np.sin(phase)).astype(np.float32)


def people(count: int, frames: int = 60, is_clip: bool = True) -> list[MotionTrack]:
    """Tracks of as many bodies, each with its own movement."""
    tracks = []
    for number in range(count):
        joints = swinging(frames, 18 + 5 * (number % 6), number)
        name, action = f"p{number:02d}", ("wave", "bow")[number % 2] if is_clip else ""
        visible = np.ones(joints.shape[:2], bool)
        side = float(np.ptp(joints, axis=(0, 1)).max()) if is_clip else 0.0
        facts = (side, is_clip, is_clip)
        tracks.append(MotionTrack(name, name, action, joints, visible, *facts))
    return tracks


MIRROR = PENN_ACTION.mirror
