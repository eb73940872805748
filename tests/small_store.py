"""A prepared store of a few tiny clips, made without any data set."""

from pathlib import Path

import numpy as np

from posecast.geometry import Crop
from posecast.store.files import StoreInfo
from posecast.store.reading import Store, StoredClip

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


def a_clip(
    clip_id: str, speed: float, split="validation", frames=30, action="walk", has_frames=False
):
    """13 joints spread over 100 px, sliding to the right by `speed` px a frame; box side 200."""
    pose = np.linspace([20.0, 20.0], [30.0, 120.0], 13)
    joints = pose + np.arange(frames)[:, None, None] * np.array([speed, 0.0])
    return StoredClip(
        clip_id=clip_id,
        action=action,
        split=split,
        official_split="test" if split == "test" else "train",
        fps=30.0,
        image_hw=(200, 200),
        crop=Crop(0, 0, 200, 200),
        box_px=(0.0, 0.0, 200.0, 150.0),
        joints_px=joints.astype(np.float32),
        visible=np.ones(joints.shape[:2], bool),
        has_frames=has_frames,
    )


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
