"""A tiny store of squares that walk to the right, for tests of image training."""

from pathlib import Path

import numpy as np

from posecast.networks.discriminator import DiscriminatorConfig
from posecast.networks.generator import GeneratorConfig
from posecast.store.reading import StoredClip
from posecast.training.image import ImageTrainingConfig
from posecast.windows import ImagePairs
from small_store import stored_clip, write_store

SIZE = 32
TINY = ImageTrainingConfig(
    generator=GeneratorConfig(width=4, size=SIZE),
    discriminator=DiscriminatorConfig(width=4, size=SIZE),
    pairs=ImagePairs(max_gap=4),
    feature_weight=0.0,
    pose_feature_weight=0.0,
    sample_every=2,
    validation_pairs=4,
).but(batch_size=4, steps=4, device="cpu", log_every=1, checkpoint_every=2, validate_every=2)


def write_squares(path: Path, num_clips: int = 5) -> None:
    """A finished store; of its clips the last one is held out for validation."""
    write_store(path, map(_moving_square, range(num_clips)), size=SIZE, validation_share=0.2)


def _moving_square(clip_number: int) -> tuple[StoredClip, np.ndarray]:
    """Twelve frames, the joints all around the square."""
    rng = np.random.default_rng(clip_number)
    frames = np.tile(rng.integers(0, 255, 3, np.uint8), (12, SIZE, SIZE, 1))
    joints = np.empty((12, 13, 2), np.float32)
    shape = rng.uniform(-6, 6, (13, 2))
    for t in range(12):
        frames[t, 10:22, t + 2 : t + 14] = 255 - frames[0, 0, 0]
        joints[t] = shape + np.array([t + 8, 16])
    facts = {"image_hw": (SIZE, SIZE), "box_px": (2.0, 10.0, 25.0, 22.0), "has_frames": True}
    return stored_clip(f"{clip_number:04d}", joints, **facts), frames
