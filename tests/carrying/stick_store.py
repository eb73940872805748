"""Clips of the stick person, and a store of some groups of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np

import small_store
from carrying.scene import picture, pose, wall
from posecast.geometry import Crop
from posecast.store.reading import StoredClip
from small_store import stored_clip


def raised(share: float) -> np.ndarray:
    """The left arm on its way up."""
    return pose(
        left_elbow=(46 - 8 * share, 56 - 12 * share), left_wrist=(42 - 18 * share, 72 - 38 * share)
    )


def a_clip(name: str, group: str, frames: int = 30) -> tuple[StoredClip, np.ndarray]:
    """Seen in half its size in the middle of a source picture of 512 x 256."""
    joints = np.stack([raised(0.5 - 0.5 * np.cos(0.2 * t)) for t in range(frames)])
    pictures = np.stack([picture(each, wall(64, seed=len(name))) for each in joints])
    joints_px = (joints * 2 + np.array([128, 0])).astype(np.float32)
    facts = {"action": group, "image_hw": (256, 512), "crop": Crop(128, 0, 384, 256)}
    facts |= {"box_px": (128.0, 0.0, 384.0, 256.0), "has_frames": True}
    return stored_clip(name, joints_px, **facts), pictures


def write_store(path: Path, frames: int = 30, unseen: str = "") -> Path:
    """Groups a and b of two clips each, and c, a pair of photos; in one, nobody may be seen."""
    clips = []
    for name, group in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b"), ("c1", "c")):
        clip, pictures = a_clip(name, group, min(frames, 2) if group == "c" else frames)
        clips.append((replace(clip, visible=clip.visible & (group != unseen)), pictures))
    return small_store.write_store(path, clips, size=64, validation_share=0.0)
