"""The published pose forecasting benchmark on Penn Action, and its clean variant.

Protocol of TP-RNN (Chiu et al., WACV 2019): official test clips, every frame of a clip starts a
window, 16 targets, `step = (frames - 1) // 17` frames apart, and target t is frame
min(start + step * t, last frame). PCK at 0.05 of the longer side of a box around the clip's
joints, pooled over windows and joints.

Three variants of it:

- "A", as its released code computes it: poses stored as x0..x12 y0..y12 are read as 13 interleaved
  pairs, so that a "joint" is (x0, x1); the box includes hidden joints parked in the corner; only
  the target's visibility counts; targets past the end repeat the last frame (43 % of all).
- "B", A with the coordinates paired rightly.
- "E", clean: right pairs, a box around visible joints, joints visible both when last seen and at
  the target, no repeated frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from posecast.baselines import PosePredictor
from posecast.clips import ClipError
from posecast.geometry import crop_to_px, px_to_crop
from posecast.store import StoredClip

NUM_TARGETS = 16
THRESHOLD = 0.05


@dataclass(frozen=True)
class PennPoseProtocol:
    """Which variant of the benchmark, and how much is seen."""

    variant: Literal["A", "B", "E"] = "E"
    """A as published, B with coordinates paired rightly, E clean; see docs/results.md."""
    num_seen: int = 1
    """Frames seen, at the clip's own rate, up to the window's start (published: 1). Frames before
    the clip begins count as not seen."""

    def __post_init__(self) -> None:
        if self.num_seen < 1:
            raise ValueError(f"num_seen is {self.num_seen}; at least 1 frame must be seen")


def penn_pose_benchmark(
    predictor: PosePredictor,
    clips: Sequence[StoredClip],
    protocol: PennPoseProtocol = PennPoseProtocol(),
    on_clip: Callable[[], None] = lambda: None,
) -> tuple[Float[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """PCK in percent at steps 1 to 16, and the number of joints behind each.

    `on_clip` is called after each clip, for a progress bar.
    """
    hits = np.zeros(NUM_TARGETS)
    counts = np.zeros(NUM_TARGETS, np.int64)
    for clip in clips:
        clip_hits, clip_counts = _score_clip(predictor, clip, protocol)
        hits += clip_hits
        counts += clip_counts
        on_clip()
    return 100 * hits / np.maximum(counts, 1), counts


def _score_clip(
    predictor: PosePredictor, clip: StoredClip, protocol: PennPoseProtocol
) -> tuple[Float[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    step = (clip.num_frames - 1) // (NUM_TARGETS + 1)
    if step == 0:
        problem = f"{clip.num_frames} frames, the benchmark needs {NUM_TARGETS + 2}: leave it out"
        raise ClipError(clip.clip_id, problem)
    starts = np.arange(clip.num_frames)
    targets = starts[:, None] + step * np.arange(1, NUM_TARGETS + 1)
    inside = np.minimum(targets, clip.num_frames - 1)
    box = _joint_box(clip, protocol.variant)
    predicted = _scale(_predict(predictor, clip, protocol, step), box, protocol.variant)
    true = _scale(clip.joints_px[inside], box, protocol.variant)
    counted = clip.visible[inside]
    if protocol.variant == "E":
        exists = (targets < clip.num_frames)[..., None]
        counted = counted & exists & clip.visible[starts][:, None]
    near = np.linalg.norm(predicted - true, axis=-1) < THRESHOLD
    return (near & counted).sum(axis=(0, 2)).astype(float), counted.sum(axis=(0, 2))


def _predict(
    predictor: PosePredictor, clip: StoredClip, protocol: PennPoseProtocol, step: int
) -> Float[np.ndarray, "w k j 2"]:
    """Poses in source pixels at the 16 targets of every window."""
    frames = np.arange(clip.num_frames)[:, None] + np.arange(1 - protocol.num_seen, 1)
    past = clip.joints_px[np.maximum(frames, 0)]
    past_visible = clip.visible[np.maximum(frames, 0)] & (frames >= 0)[..., None]
    if protocol.variant != "E":
        # As published: the place of a hidden joint counts as seen, wherever it is parked.
        past_visible[:, -1] = True
    joints_crop = px_to_crop(past, clip.crop)
    predicted = predictor.predict_poses(joints_crop, past_visible, NUM_TARGETS * step)
    return crop_to_px(predicted[:, step - 1 :: step], clip.crop)


def _joint_box(clip: StoredClip, variant: str) -> tuple[Float[np.ndarray, "2"], float]:
    """Centre and longer side of the box around the clip's joints."""
    shown = clip.visible if variant == "E" else np.ones_like(clip.visible)
    joints = clip.joints_px[shown]
    low, high = joints.min(axis=0), joints.max(axis=0)
    return (low + high) / 2, float((high - low).max())


def _scale(
    joints_px: Float[np.ndarray, "w k j 2"],
    box: tuple[Float[np.ndarray, "2"], float],
    variant: str,
) -> Float[np.ndarray, "w k j 2"]:
    centre, side = box
    scaled = (joints_px - centre) / side
    if variant != "A":
        return scaled
    features = np.concatenate([scaled[..., 0], scaled[..., 1]], axis=-1)
    return features.reshape(scaled.shape)
