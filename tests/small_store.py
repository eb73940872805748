"""Clips, and prepared stores of a few tiny ones, made without any data set."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from posecast.geometry import Crop
from posecast.store.files import StoreInfo
from posecast.store.reading import Store, StoredClip
from posecast.store.writing import store_writer, write_clip

SIZE = 16
INFO = StoreInfo(
    dataset="drawn",
    skeleton="penn_action",
    size=SIZE,
    crop="union",
    margin_px=5,
    num_seen=10,
    resize="linear",
    validation_share=0.1,
)


def stored_clip(
    clip_id: str, joints_px: np.ndarray, visible: np.ndarray | None = None, **facts: Any
) -> StoredClip:
    """All joints seen, the crop and the box all of 200 x 200 pixels, but for these facts."""
    height, width = facts.get("image_hw", (200, 200))
    usual = {
        "action": "walk",
        "split": "train",
        "official_split": "train",
        "fps": 30.0,
        "image_hw": (height, width),
        "crop": Crop(0, 0, width, height),
        "box_px": (0.0, 0.0, float(width), float(height)),
        "has_frames": False,
    }
    shown = np.ones(joints_px.shape[:2], bool) if visible is None else visible
    return StoredClip(clip_id, joints_px=joints_px, visible=shown, **usual | facts)


def write_store(
    path: Path, clips: Iterable[tuple[StoredClip, np.ndarray | None]], **facts: Any
) -> Path:
    """A finished store of clips and their pictures; it is as `INFO` says but for these facts."""
    with store_writer(path, replace(INFO, **facts)) as writer:
        for clip, pictures in clips:
            write_clip(path, clip, pictures)
        writer.finish({})
    return path


def a_clip(
    clip_id: str, speed: float, split="validation", frames=30, action="walk", has_frames=False
):
    """13 joints spread over 100 px, sliding to the right by `speed` px a frame; box side 200."""
    pose = np.linspace([20.0, 20.0], [30.0, 120.0], 13)
    joints = pose + np.arange(frames)[:, None, None] * np.array([speed, 0.0])
    official = "test" if split == "test" else "train"
    facts = {"action": action, "split": split, "official_split": official}
    facts |= {"box_px": (0.0, 0.0, 200.0, 150.0), "has_frames": has_frames}
    return stored_clip(clip_id, joints.astype(np.float32), **facts)


def a_store(path: Path, *clips: StoredClip) -> Store:
    """Frames, where clips have them, are a grey wave that moves with the joints."""
    for number, clip in enumerate(clips):
        if clip.has_frames:
            file = path / "frames" / f"{clip.clip_id}.npy"
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, moving_wave(clip.num_frames, number))
    return Store(path, INFO, clips)


def moving_wave(num_frames: int, phase: int) -> np.ndarray:
    """uint8 frames whose columns move one pixel a frame to the right."""
    columns = np.arange(SIZE)[None, :] - np.arange(num_frames)[:, None] + phase
    grey = (128 + 100 * np.sin(columns * 0.7)).astype(np.uint8)
    return np.ascontiguousarray(
        np.broadcast_to(grey[:, None, :, None], (num_frames, SIZE, SIZE, 3))
    )
