"""The published pose forecasting benchmark on Penn Action, and its clean variant (`penn_protocol`):
forecasters of poses in one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from posecast.clips import ClipError
from posecast.computing.devices import Device, Flat, ForecasterOptions
from posecast.datasets.penn_action import PennAction
from posecast.errors import PosecastError
from posecast.evaluation import guard
from posecast.evaluation.baselines import ConstantVelocity, LastPose
from posecast.evaluation.penn_protocol import (
    NUM_TARGETS,
    THRESHOLD,
    PennPoseProtocol,
    penn_pose_scores,
    percent,
)
from posecast.evaluation.setup import distinct_names
from posecast.evaluation.summary import bootstrap
from posecast.forecasting.loading import load_pose_forecaster
from posecast.forecasting.protocols import PoseForecaster
from posecast.records.arguments import as_path, check_is, check_settings
from posecast.records.configs import config_to_dict
from posecast.records.files import check_place, write_json
from posecast.records.final_looks import looks_text, record_test_use
from posecast.records.versions import code_versions
from posecast.store.preparation import PreparationConfig, store_info, to_stored_clip
from posecast.store.reading import Store


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
    check_settings(config, PennPoseBenchmark, "config")
    if config.out is not None:
        check_place(config.out)  # before a look at test clips is noted
    store, _ = read_test_labels(as_path(root, "the folder of Penn Action"))
    predictors = _predictors(config, store, others)
    draws = bootstrap(len(store.clips), config.num_draws, config.seed)
    uses = _test_uses(config, store, bool(others), command)
    rows, num_joints = [], ()
    for name, predictor in predictors.items():
        hits, counts = penn_pose_scores(predictor, store.clips, config.protocol, name)
        rows.append(BenchmarkRow.of(name, hits, counts, draws))
        num_joints = tuple(counts.sum(axis=0).tolist())
    unknown = tuple(guard.runs_without_record(config.pose_run))
    variant, seen, count = config.protocol.variant, config.protocol.seen, len(store.clips)
    table = BenchmarkTable(variant, seen, count, num_joints, tuple(rows), uses, unknown)
    if config.out is not None:
        facts = {"command": command, "versions": code_versions(), **config_to_dict(table)}
        write_json(config.out, facts)
    return table


def _test_uses(
    config: PennPoseBenchmark, store: Store, has_others: bool, command: str
) -> dict[str, int]:
    """Notes this look at test clips in the folders of the runs; how often each has looked.

    PosecastError where it may not look.
    """
    if config.pose_run or has_others:
        guard.check_test_clips(store.clips, config.final)
    if not config.pose_run:
        return {}
    guard.check_not_trained(store.clips, config.pose_run, store, config.allow_trained)
    name = f"benchmark penn-pose {config.protocol.variant} {config.protocol.seen}"
    facts = {"out": name, "command": command, "num_clips": len(store.clips)}
    return record_test_use(guard.own_runs(config.pose_run), facts)


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
