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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Num

from posecast.clips import ClipError, SeenVideo
from posecast.computing.devices import Device, Flat, ForecasterOptions
from posecast.computing.stages import tracked
from posecast.datasets.penn_action import PennAction
from posecast.errors import PosecastError
from posecast.evaluation import guard
from posecast.evaluation.baselines import ConstantVelocity, LastPose
from posecast.evaluation.setup import distinct_names
from posecast.evaluation.summary import bootstrap
from posecast.forecasting.loading import load_pose_forecaster
from posecast.forecasting.protocols import PoseForecaster, checked
from posecast.records.arguments import as_path, check_is
from posecast.records.configs import check_at_least, config_to_dict
from posecast.records.files import write_json
from posecast.records.final_looks import looks_text, record_test_use
from posecast.records.versions import code_versions
from posecast.store.preparation import PreparationConfig, store_info, to_stored_clip
from posecast.store.reading import Store, StoredClip

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


@dataclass(frozen=True)
class PennPoseBenchmark:
    """What to run of the benchmark."""

    protocol: Flat[PennPoseProtocol] = PennPoseProtocol()
    pose_run: tuple[Path, ...] = ()
    """Runs of 'posecast train pose' or 'train motion', or shipped weights by name, beside the
    trivial forecasts."""
    final: bool = False
    """Allow pose runs: nothing will be chosen by these numbers any more."""
    allow_trained: bool = False
    """Allow runs that were trained on test clips."""
    num_draws: int = 1000
    """Bootstrap samples of clips behind the intervals."""
    seed: int = 0
    """Of those samples."""
    out: Path | None = None
    """JSON file for the table."""
    device: Device = "auto"
    """Where to compute; auto takes a GPU where there is one."""


@dataclass(frozen=True)
class BenchmarkRow:
    """One method's line; PCK in percent at steps 1 to 16."""

    method: str
    percent: tuple[float, ...]
    low: tuple[float, ...]
    """2.5 % of the bootstrap over clips."""
    high: tuple[float, ...]

    @classmethod
    def of(
        cls,
        method: str,
        hits: Float[np.ndarray, "c k"],
        counts: Int[np.ndarray, "c k"],
        draws: Float[np.ndarray, "d c"],
    ) -> "BenchmarkRow":
        """`draws` says how often each clip is in each sample of the bootstrap."""
        pck = percent(hits.sum(axis=0), counts.sum(axis=0))
        drawn = percent(draws @ hits, draws @ counts)
        numbers = (pck, *np.percentile(drawn, [2.5, 97.5], axis=0))
        return cls(method, *(tuple(each.tolist()) for each in numbers))


@dataclass(frozen=True)
class BenchmarkTable:
    """All lines, and what they were computed with."""

    variant: str
    num_seen: int
    num_clips: int
    num_joints: tuple[int, ...]
    """Joints behind each step."""
    rows: tuple[BenchmarkRow, ...]
    test_uses: dict[str, int]
    """For each run, how often test clips have been looked at with it."""
    without_record: tuple[str, ...] = ()
    """Runs that do not say what they were trained on."""

    def text(self) -> str:
        """For people, as a Markdown table."""
        steps = " | ".join(map(str, range(1, NUM_TARGETS + 1)))
        head = f"| PCK@{THRESHOLD} (%) at step | {steps} |"
        lines = [
            f"Variant {self.variant}, {self.num_seen} seen, {self.num_clips} test clips; "
            "half-widths of 95 % intervals over clips below each row",
            *("", head, "|---" * (NUM_TARGETS + 1) + "|"),
        ]
        for row in self.rows:
            numbers = " | ".join(f"{value:.1f}" for value in row.percent)
            halves = ((b - a) / 2 for a, b in zip(row.low, row.high, strict=True))
            widths = " | ".join(f"+-{half:.1f}" for half in halves)
            lines += [f"| {row.method} | {numbers} |", f"| | {widths} |"]
        lines.append("| joints | " + " | ".join(map(str, self.num_joints)) + " |")
        lines += [looks_text(run, count) for run, count in self.test_uses.items()]
        lines += [guard.without_record_text(run) for run in self.without_record]
        return "\n".join(lines)


def read_test_labels(root: Path) -> tuple[Store, dict[str, str]]:
    """The official test clips as a store in memory, and those left out, with the reason.

    Poses and boxes only; nothing is written. Takes seconds.
    """
    source, config = PennAction(root), PreparationConfig()
    clips, left_out = [], {}
    for clip_id in source.clip_ids():
        try:
            clip = to_stored_clip(source.read_poses(clip_id), config, has_frames=False)
        except ClipError as error:
            left_out[clip_id] = str(error)
            continue
        if clip.split == "test":
            clips.append(clip)
    if not clips:
        raise PosecastError(f"{root} holds no usable test clip")
    return Store(root, store_info(source, config), tuple(clips)), left_out


def run_penn_pose_benchmark(
    root: str | Path,
    config: PennPoseBenchmark | None = None,
    command: str = "",
    others: Mapping[str, PoseForecaster] | None = None,
) -> BenchmarkTable:
    """Last pose, constant velocity, pose runs and `others`, forecasters of one's own by name, on
    all official test clips of a data set folder.

    PosecastError for pose runs or others without `final`, runs that were trained on test clips, or
    others that are called as another row.
    """
    config, others = config or PennPoseBenchmark(), others or {}
    store, _ = read_test_labels(as_path(root, "the folder of Penn Action"))
    predictors, uses = _predictors(config, store, others), {}
    if config.pose_run or others:
        guard.check_test_clips(store.clips, config.final)
    if config.pose_run:
        guard.check_not_trained(store.clips, config.pose_run, store, config.allow_trained)
        name = f"benchmark penn-pose {config.protocol.variant} {config.protocol.seen}"
        facts = {"out": name, "command": command, "num_clips": len(store.clips)}
        uses = record_test_use(guard.own_runs(config.pose_run), facts)
    rows, num_joints = [], ()
    draws = bootstrap(len(store.clips), config.num_draws, config.seed)
    for name, predictor in predictors.items():
        hits, counts = penn_pose_scores(predictor, store.clips, config.protocol, name)
        rows.append(BenchmarkRow.of(name, hits, counts, draws))
        num_joints = tuple(counts.sum(axis=0).tolist())
    unknown = tuple(guard.runs_without_record(config.pose_run))
    asked = (config.protocol.variant, config.protocol.seen)
    table = BenchmarkTable(*asked, len(store.clips), num_joints, tuple(rows), uses, unknown)
    if config.out is not None:
        facts = {"command": command, "versions": code_versions(), **config_to_dict(table)}
        write_json(config.out, facts)
    return table


def _predictors(
    config: PennPoseBenchmark, store: Store, others: Mapping[str, PoseForecaster]
) -> dict[str, PoseForecaster]:
    """The trivial forecasts, those of others and the pose runs, by name."""
    predictors: dict[str, PoseForecaster] = {"last pose": LastPose()}
    if config.protocol.seen > 1:
        predictors["constant velocity"] = ConstantVelocity()
    if taken := predictors.keys() & others:
        raise PosecastError(f"{min(taken)!r} is a row already: give your forecaster another name")
    for name, other in others.items():
        check_is(other, PoseForecaster, f"forecaster {name!r}", "an object with forecast_poses")
    predictors |= others
    names = distinct_names(config.pose_run, taken=predictors)
    for run, name in zip(config.pose_run, names, strict=True):
        forecaster = load_pose_forecaster(run, ForecasterOptions(config.device, lively=False))
        forecaster.needs.check_rate(name, store.clips)
        predictors[name] = forecaster
    return predictors
