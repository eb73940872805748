"""How poses are scored in the published forecasting benchmark on Penn Action, and cleanly.

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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Num

from posecast.clips import ClipError, SeenVideo
from posecast.computing.stages import tracked
from posecast.forecasting.protocols import PoseForecaster, checked
from posecast.records.configs import check_at_least
from posecast.store.reading import StoredClip

NUM_TARGETS = 16
THRESHOLD = 0.05


@dataclass(frozen=True)
class PennPoseProtocol:
    """Which variant of the benchmark, and how much is seen."""

    variant: Literal["A", "B", "E"] = "E"
    """A as published, B with coordinates paired rightly, E clean; see docs/evaluation.md."""
    seen: int = 1
    """Frames seen, at the clip's own rate, up to the window's start (published: 1). Frames before
    the clip begins count as not seen."""

    def __post_init__(self) -> None:
        check_at_least(1, self, "seen")


def penn_pose_scores(
    predictor: PoseForecaster,
    clips: Sequence[StoredClip],
    protocol: PennPoseProtocol = PennPoseProtocol(),
    name: str = "forecast",
) -> tuple[Float[np.ndarray, "c k"], Int[np.ndarray, "c k"]]:
    """Of each clip the hits and the joints counted, at steps 1 to 16; `percent` makes PCK of sums.

    `name` is what the progress bar says.
    """
    hits = np.zeros((len(clips), NUM_TARGETS))
    counts = np.zeros((len(clips), NUM_TARGETS), np.int64)
    for row, clip in enumerate(tracked(clips, name)):
        hits[row], counts[row] = _score_clip(predictor, clip, protocol)
    return hits, counts


def percent(
    hits: Float[np.ndarray, "*rows k"], counts: Num[np.ndarray, "*rows k"]
) -> Float[np.ndarray, "*rows k"]:
    """PCK of hits among the joints counted."""
    return 100 * hits / np.maximum(counts, 1)


def _score_clip(
    predictor: PoseForecaster, clip: StoredClip, protocol: PennPoseProtocol
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
    predictor: PoseForecaster, clip: StoredClip, protocol: PennPoseProtocol, step: int
) -> Float[np.ndarray, "w k j 2"]:
    """Poses in source pixels at the 16 targets of every window."""
    frames = np.arange(clip.num_frames)[:, None] + np.arange(1 - protocol.seen, 1)
    past = clip.joints_px[np.maximum(frames, 0)]
    past_visible = clip.visible[np.maximum(frames, 0)] & (frames >= 0)[..., None]
    if protocol.variant != "E":
        # As published: the place of a hidden joint counts as seen, wherever it is parked.
        past_visible[:, -1] = True
    # In variant E nothing counts where nothing was seen; the last place stands in.
    predicted = np.repeat(past[:, -1:], NUM_TARGETS, axis=1)
    rows = np.flatnonzero(past_visible.any(axis=(1, 2)))
    facts = (clip.fps, clip.image_hw, None, clip.crop)
    seen = [SeenVideo(past[row], past_visible[row], *facts) for row in rows]
    if seen:
        asked = (seen, NUM_TARGETS * step, 1)
        forecasts = checked(predictor.forecast_poses(*asked), *asked)
        predicted[rows] = np.stack([each.joints_px[0, step - 1 :: step] for each in forecasts])
    return predicted


def _joint_box(clip: StoredClip, variant: str) -> tuple[Float[np.ndarray, "2"], float]:
    """Centre and longer side of the box around the clip's joints."""
    shown = clip.visible if variant == "E" else np.ones_like(clip.visible)
    joints = clip.joints_px[shown]
    low, high = joints.min(axis=0), joints.max(axis=0)
    return (low + high) / 2, float((high - low).max())


def _scale(
    joints_px: Float[np.ndarray, "w k j 2"], box: tuple[Float[np.ndarray, "2"], float], variant: str
) -> Float[np.ndarray, "w k j 2"]:
    centre, side = box
    scaled = (joints_px - centre) / side
    if variant != "A":
        return scaled
    features = np.concatenate([scaled[..., 0], scaled[..., 1]], axis=-1)
    return features.reshape(scaled.shape)
