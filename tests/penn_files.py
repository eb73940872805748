"""Small made-up clips in the published Penn Action layout, for tests of what reads them."""

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from PIL import Image

HEIGHT, WIDTH = 48, 64


def label_values(seed: int = 0, num_frames: int = 6, action: str = "bowl", train: int = 1) -> dict:
    """The variables of a label file; joints inside a box inside the image, 1-based."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(20, 40, (num_frames, 13)), rng.uniform(12, 40, (num_frames, 13))
    corners = [x.min(1), y.min(1), x.max(1), y.max(1)]
    return {
        "action": action,
        "pose": "front",
        "x": x,
        "y": y,
        "visibility": rng.integers(0, 2, (num_frames, 13)).astype(np.uint8) | (x > 30),
        "train": np.array([[train]], np.int32),
        "bbox": np.stack(corners, axis=1),
        "dimensions": np.array([[HEIGHT, WIDTH, num_frames]], np.uint16),
        "nframes": np.array([[num_frames]], np.uint8),
    }


def picture(seed: int, frame: int) -> np.ndarray:
    """A frame: a bright patch on a gradient, different in each clip and frame."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([3 * rows, 3 * columns, 0 * rows + 20 * (seed % 8)], axis=-1).astype(np.uint8)
    image[10:20, 5 * frame % 40 : 5 * frame % 40 + 12] = (250, 20 * (frame % 8), 90)
    return image


def write_labels(root: Path, clip_id: str, seed: int = 0, **changes: Any) -> Path:
    """One label file; `changes` replace variables, or remove those that are None."""
    options = {key: changes.pop(key) for key in ("num_frames", "action", "train") if key in changes}
    values = label_values(seed, **options) | changes
    path = root / "labels" / f"{clip_id}.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in values.items() if value is not None}
    scipy.io.savemat(path, kept, do_compression=True)
    return path


def write_clip_files(root: Path, clip_id: str, seed: int = 0, num_frames: int = 6, **changes: Any):
    """Labels and frames of one clip."""
    write_labels(root, clip_id, seed, num_frames=num_frames, **changes)
    folder = root / "frames" / clip_id
    folder.mkdir(parents=True)
    for frame in range(num_frames):
        Image.fromarray(picture(seed, frame)).save(folder / f"{frame + 1:06d}.jpg", quality=95)
