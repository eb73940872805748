"""How much worse forecasts get when the seen poses do.

    OUT/robustness.csv    method, damage, amount, metric, frame, value, low, high, joints
    OUT/robustness.md     tables to read: mean distance, and PCK, by damage and method
    OUT/robustness.json   what was studied

Frame 0 is the mean over all future frames; low and high are 95 % bootstrap limits over clips. Only
the seen poses change: the same joints are scored as with the labels themselves.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from benchmarks import markdown
from benchmarks.robustness.damage import DAMAGES, Damage, apply_damage
from posecast.clips import SeenVideo
from posecast.errors import PosecastError
from posecast.evaluation.guard import (
    check_not_trained,
    check_test_clips,
    own_runs,
    runs_without_record,
)
from posecast.evaluation.methods import Method
from posecast.evaluation.record import EvaluationConfig
from posecast.evaluation.scores import pose_curves
from posecast.evaluation.summary import PooledCurve, Summary, summarise_rows
from posecast.evaluation.table import Curve, Row
from posecast.forecasting.forecaster import CLIPS_PER_BATCH
from posecast.forecasting.jobs import Job, choose_jobs
from posecast.networks.kinds import place_of
from posecast.records.configs import config_to_dict
from posecast.records.files import csv_text, write_json, write_text
from posecast.records.final_looks import record_test_use
from posecast.records.versions import code_versions
from posecast.store.reading import ClipSelection, Store, StoredClip

ESTIMATED = "estimated poses"
_COLUMNS = ("method", "damage", "amount", "metric", "frame", "value", "low", "high", "joints")
_HORIZONS = (1, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class RobustnessConfig:
    """What is studied, and how."""

    clips: ClipSelection = ClipSelection(split="validation")
    """Clips to forecast."""
    num_past: int = 10
    """Frames seen."""
    steps: int = 32
    """Future frames; those that a clip does not have are not counted."""
    stride: int = 1
    """See and forecast every n-th frame."""
    draws: int = 5
    """How often each random damage is drawn for each clip."""
    estimated: bool = False
    """Also start from the poses that 'posecast estimate' added to the store."""
    threshold: float = 0.1
    """Of PCK, as a share of the longer side of the clip's annotated box."""
    seed: int = 0
    """Of all draws."""
    final: bool = False
    """Allow test clips: nothing will be chosen by these numbers any more."""
    allow_trained: bool = False
    """Allow clips that a run was trained on; the result says so."""

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise PosecastError(f"draws is {self.draws}; it must be 1 or more")
        _ = self.evaluation  # checks the rest

    @property
    def evaluation(self) -> EvaluationConfig:
        """The same clips and windows as an evaluation of labelled poses."""
        return EvaluationConfig(
            clips=self.clips,
            num_past=self.num_past,
            steps=self.steps,
            stride=self.stride,
            thresholds=(self.threshold,),
            final=self.final,
            allow_trained=self.allow_trained,
        )


@dataclass(frozen=True, eq=False)
class RobustnessReport:
    """How a study ended."""

    out_path: Path
    num_clips: int
    left_out: dict[str, str]
    """Clips that could not be studied, and why."""
    trained_on: list[str]
    """Studied clips that a run was trained on."""
    without_record: list[str]
    """Runs that do not say what they were trained on."""
    tables: str
    """Markdown."""
    summaries: dict[str, Summary]
    """By the title of the damage."""


def study_robustness(
    methods: Sequence[Method],
    store: Store,
    out_path: str | Path,
    config: RobustnessConfig | None = None,
    command: str = "",
    damages: Sequence[Damage] = DAMAGES,
) -> RobustnessReport:
    """Forecast the same clips from worse and worse seen poses, by methods that forecast poses.

    Raises:
        PosecastError: no method forecasts poses, test clips without `final`, clips that were
            trained on, or not one clip fits.
    """
    config, out_path = config or RobustnessConfig(), Path(out_path)
    methods = [method for method in methods if method.poses is not None]
    clips = store.select(config.clips)
    _check(methods, config, clips)
    runs = sorted({place_of(run) for method in methods for run in method.runs})
    check_test_clips(clips, config.final)
    trained_on = check_not_trained(clips, runs, store, config.allow_trained)
    jobs, left_out = choose_jobs(clips, store, config.evaluation.window)
    if not jobs:
        raise PosecastError(f"not one clip can be studied: {'; '.join(left_out.values())[:1000]}")
    if any(clip.split == "test" for clip in clips):
        facts = {"out": str(out_path.resolve()), "study": "robustness", "num_clips": len(clips)}
        record_test_use(own_runs(runs), facts)
    summaries = {
        damage.title: summarise_rows(_rows(jobs, methods, store, config, damage))
        for damage in damages
    }
    if config.estimated:
        estimated = _estimated(jobs, store, config)
        labelled = Damage("none")
        summaries[ESTIMATED] = summarise_rows(_rows(estimated, methods, store, config, labelled))
    tables = _tables(summaries, [method.name for method in methods], config, len(jobs))
    _write(out_path, summaries, damages, tables)
    unknown = runs_without_record(runs)
    facts = _facts(methods, store, config, command)
    facts |= {"trained_on": trained_on, "without_record": unknown}
    write_json(out_path / "robustness.json", facts)
    return RobustnessReport(out_path, len(jobs), left_out, trained_on, unknown, tables, summaries)


def _check(
    methods: Sequence[Method], config: RobustnessConfig, clips: Sequence[StoredClip]
) -> None:
    if not methods:
        raise PosecastError(
            "no method forecasts poses: give at least one pose run or pose baseline"
        )
    for method in methods:
        method.check_shown(config.num_past, config.stride, clips)


def _estimated(jobs: Sequence[Job], store: Store, config: RobustnessConfig) -> list[Job]:
    posed, window = store.with_poses("estimated"), config.evaluation.window
    chosen, left_out = choose_jobs([job.clip for job in jobs], posed, window)
    if left_out:
        raise PosecastError(
            f"{len(left_out)} of the clips cannot start from estimated poses, so the rows would "
            f"not be of the same clips: {'; '.join(left_out.values())[:500]}"
        )
    # What is scored follows from the labels, as in the other rows.
    return chosen


def _rows(
    jobs: Sequence[Job],
    methods: Sequence[Method],
    store: Store,
    config: RobustnessConfig,
    damage: Damage,
) -> Iterator[Row]:
    """Curves of all clips, each the mean of its draws."""
    num_draws = 1 if damage.kind in ("none", "last frame lost") else config.draws
    for first in range(0, len(jobs), CLIPS_PER_BATCH):
        batch = jobs[first : first + CLIPS_PER_BATCH]
        curves: dict[tuple[int, str, str], list[Curve]] = {}
        for draw in range(num_draws):
            seen = [
                _damaged(job, damage, store, (config.seed, draw, first + place))
                for place, job in enumerate(batch)
            ]
            for method in methods:
                for place, poses in enumerate(method.forecast_poses(seen, config.steps)):
                    if poses is None:
                        continue
                    job, limits = batch[place], (config.threshold,)
                    for curve in pose_curves(method.name, poses.joints_px[0], job, limits):
                        curves.setdefault((place, curve.method, curve.metric), []).append(curve)
        for (place, _, _), drawn in curves.items():
            yield from _mean_rows(batch[place], drawn)


def _damaged(job: Job, damage: Damage, store: Store, seed: tuple[int, ...]) -> SeenVideo:
    seen, rng = job.seen, np.random.default_rng(seed)
    joints, visible = apply_damage(
        damage, seen.joints_px, seen.visible, job.clip.box_side_px, store.skeleton, rng
    )
    return dataclasses.replace(seen, joints_px=joints, visible=visible)


def _mean_rows(job: Job, drawn: Sequence[Curve]) -> Iterator[Row]:
    values: Float[np.ndarray, " n"] = np.mean([curve.values for curve in drawn], axis=0)
    curve = drawn[0]
    for frame, value, weight in zip(curve.frames, values, curve.weights, strict=True):
        if weight > 0:
            yield Row(
                *(job.clip.clip_id, job.clip.action, curve.method, curve.metric),
                *(curve.sample, int(frame), float(value), float(weight), None, curve.coordinates),
            )


# --- results --------------------------------------------------------------------------------------


def _tables(
    summaries: dict[str, Summary], methods: list[str], config: RobustnessConfig, num_clips: int
) -> str:
    """Mean distance and PCK by damage and method, then the mean distance by horizon."""
    pck = f"pck@{config.threshold:g}"
    head = (
        f"{num_clips} clips, {config.num_past} seen frames, {config.steps} future frames, "
        f"{config.draws} draws, seed {config.seed}; 95 % bootstrap limits over clips."
    )
    parts = [head]
    for metric, title in (("distance", "Mean distance, % of the box"), (pck, f"{pck}, %")):
        rows = [
            [damage, *(_cell(summary.overall(method, metric)) for method in methods)]
            for damage, summary in summaries.items()
        ]
        parts.append(_markdown(["seen poses", *methods], rows, title))
    horizons = [frame for frame in _HORIZONS if frame <= config.steps]
    for method in methods:
        curves = {name: each.curve(method, "distance") for name, each in summaries.items()}
        rows = [
            [damage, *(f"{100 * curve.at(frame):.2f}" for frame in horizons)]
            for damage, curve in curves.items()
        ]
        title = f"Mean distance of {method} by frame, % of the box"
        parts.append(_markdown(["seen poses", *(f"+{frame}" for frame in horizons)], rows, title))
    return "\n\n".join(parts) + "\n"


def _cell(overall: PooledCurve) -> str:
    value, low, high = (
        100 * float(each[0]) for each in (overall.values, overall.low, overall.high)
    )
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def _markdown(head: list[str], rows: list[list[str]], title: str) -> str:
    lines = [f"{title}:", "", markdown.head(*head)]
    return "\n".join([*lines, *(markdown.row(*row) for row in rows)])


def _write(
    out_path: Path, summaries: dict[str, Summary], damages: Sequence[Damage], tables: str
) -> None:
    kinds = {damage.title: (damage.kind, damage.amount) for damage in damages}
    rows = [
        (method, *kinds.get(title, (title, 0.0)), metric, *row)
        for title, summary in summaries.items()
        for method in summary.methods
        for metric in summary.metrics
        for row in _numbers(summary, method, metric)
    ]
    write_text(out_path / "robustness.csv", csv_text([_COLUMNS, *rows]))
    write_text(out_path / "robustness.md", tables)


def _numbers(summary: Summary, method: str, metric: str) -> Iterator[tuple[object, ...]]:
    """frame, value, low, high, joints: all frames together, then each."""
    weights = summary.measured[method, metric].weights.sum(axis=0)
    overall, curve = summary.overall(method, metric), summary.curve(method, metric)
    for each, joints in ((overall, [weights.sum()]), (curve, weights)):
        columns = (each.frames, each.values, each.low, each.high, joints)
        for frame, value, low, high, count in zip(*columns, strict=True):
            yield int(frame), f"{value:.6f}", f"{low:.6f}", f"{high:.6f}", int(count)


def _facts(
    methods: Sequence[Method], store: Store, config: RobustnessConfig, command: str
) -> dict[str, object]:
    return {
        "command": command,
        "methods": [{"name": each.name, "kind": each.kind, **each.origin} for each in methods],
        "config": config_to_dict(config),
        "store": {"path": str(store.path.resolve()), **config_to_dict(store.info)},
        "versions": code_versions(),
    }
