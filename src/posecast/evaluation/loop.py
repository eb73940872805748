"""The evaluation stage: any methods, the same clips, one table.

    OUT/evaluation.json   what was evaluated: see `record`
    OUT/rows.csv          the table, see `table`
    OUT/examples/         a few clips with all their forecasts, to look at, see `examples`

Clips stream through, so memory does not grow with them; a stopped evaluation goes on where it was.
"""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posecast.clips import ClipError, PoseForecast
from posecast.computing.devices import Share
from posecast.computing.stages import tracked
from posecast.errors import PosecastError
from posecast.evaluation import guard, scores
from posecast.evaluation.examples import write_examples
from posecast.evaluation.judges import Judges, MetricNetworks
from posecast.evaluation.methods import Method
from posecast.evaluation.record import EvaluationConfig, close_record, open_record
from posecast.evaluation.table import ALL_CLIPS, TRUTH, Curve, TableWriter
from posecast.forecasting.forecaster import CLIPS_PER_BATCH
from posecast.forecasting.jobs import (
    POSES_SEEN,
    Job,
    check_size,
    choose_jobs,
    poses_checksum,
    read_video,
)
from posecast.forecasting.protocols import Needs
from posecast.networks.kinds import place_of
from posecast.records.arguments import as_path, check_is, check_settings
from posecast.records.configs import config_to_dict
from posecast.records.files import FileError
from posecast.records.final_looks import looks_text, record_test_use
from posecast.records.versions import code_versions
from posecast.store.files import StoreError
from posecast.store.reading import Store, StoredClip


@dataclass(frozen=True)
class EvaluationReport:
    """How an evaluation ended."""

    out_path: Path
    num_clips: int
    """Clips in the table."""
    left_out: dict[str, str]
    """Clips that could not be evaluated, and why."""
    test_uses: dict[str, int]
    """For each run, how many evaluations have looked at test clips with it, this one included;
    empty without test clips."""
    trained_on: list[str]
    """Evaluated clips that a run was trained on."""
    without_record: tuple[str, ...] = ()
    """Runs that do not say what they were trained on."""

    def summary(self) -> str:
        lines = [f"{self.out_path}: {self.num_clips} clips evaluated"]
        if self.trained_on:
            lines.append(f"{len(self.trained_on)} of them were trained on: not a fair test.")
        for run, count in self.test_uses.items():
            lines.append(looks_text(run, count))
        lines += [guard.without_record_text(run) for run in self.without_record]
        lines += [f"  left out: {why}" for why in list(self.left_out.values())[:20]]
        return "\n".join(lines)


def evaluate(
    methods: Sequence[Method],
    store: Store,
    out_path: str | Path,
    config: EvaluationConfig | None = None,
    networks: MetricNetworks | None = None,
    command: str = "",
    share: Share | None = None,
) -> EvaluationReport:
    """Evaluate methods on clips of a store into a folder, or go on with a stopped evaluation.

    `command` is what the user typed. Several processes call this alike, each with its own `share`;
    all return the report of all clips. PosecastError: methods, store and config do not fit, test
    clips without `final`, clips that were trained on, a folder of something else, no usable clip.
    """
    config, networks = config or EvaluationConfig(), networks or MetricNetworks()
    share, out_path = share or Share(), as_path(out_path, "out_path")
    _check_given(methods, store, config, networks)
    clips = store.select(config.clips)
    runs = sorted({place_of(run) for method in methods for run in method.runs})
    guard.check_test_clips(clips, config.final)
    trained_on = guard.check_not_trained(clips, runs, store, config.allow_trained)
    jobs, left_out = _usable_jobs(methods, clips, store, config)
    unknown = guard.runs_without_record(runs)
    found = {"trained_on": trained_on, POSES_SEEN: poses_checksum(jobs), "without_record": unknown}
    facts = _facts(methods, store, config, networks) | found
    evaluation = _Evaluation(methods, store, config, Judges(networks, out_path / "video_features"))
    with contextlib.ExitStack() as stack:
        uses, table, num_clips = {}, None, 0
        if share.is_first:
            stack.enter_context(open_record(out_path, facts, command))
            uses = _remember(runs, clips, out_path, evaluation.names)
            table = TableWriter(out_path / "rows.csv")
            table.absorb(_part_tables(out_path), broken=True)
        done = share.gather(table.done if table else set())[0]
        todo = share.of([job for job in jobs if job.clip.clip_id not in done])
        own_part = out_path / f"rows.process-{share.rank}.csv"  # later put into the one table
        alone = table if share.count == 1 else None
        left_out |= evaluation.write_clips(todo, alone or TableWriter(own_part))
        for problems in share.gather(left_out):
            left_out |= problems
        if table:
            num_clips = evaluation.finish(jobs, table, out_path, left_out, uses)
    facts = (num_clips, left_out, uses, trained_on, tuple(unknown))
    return share.gather(EvaluationReport(out_path, *facts))[0]


def _remember(
    runs: list[Path], clips: Sequence[StoredClip], out_path: Path, names: list[str]
) -> dict[str, int]:
    """Note a look at test clips, where there are any, in the runs' folders."""
    looked = guard.own_runs(runs) if any(clip.split == "test" for clip in clips) else []
    use = {"out": str(out_path.resolve()), "methods": names, "num_clips": len(clips)}
    return record_test_use(looked, use | {"git_commit": code_versions()["git_commit"]})


def _part_tables(out_path: Path) -> list[Path]:
    return sorted(out_path.glob("rows.process-*.csv"))


def _check_given(
    methods: Sequence[Method], store: Store, config: EvaluationConfig, networks: MetricNetworks
) -> None:
    check_settings(config, EvaluationConfig, "config")
    check_is(networks, MetricNetworks, "networks", "what load_networks gives")
    check_is(store, Store, "store", "what Store.open gives")
    for method in check_is(methods, Sequence, "methods", "a list of methods"):
        check_is(method, Method, "a method", "Method(name, poses=...)")
    names = [method.name for method in methods]
    if not names or len(set(names)) != len(names):
        raise PosecastError(f"give at least one method, each with a name of its own; got {names}")
    for method in methods:
        method.check_shown(config.num_past, config.stride, store.select(config.clips))
        drawn_size = getattr(method.frames, "size", store.size)
        if drawn_size != store.size:
            raise PosecastError(
                f"{method.name} was trained on frames of {drawn_size} px, store {store.path} has "
                f"{store.size} px: prepare the store with --size {drawn_size}"
            )
        needs: Needs | None = getattr(method.poses, "needs", None)
        for part in (needs, method.drawer):
            if part is not None and part.skeleton != store.skeleton:
                raise PosecastError(
                    f"{method.name} was trained on skeleton {part.skeleton.name}, store "
                    f"{store.path} has {store.skeleton.name}: use a run of the store's data set"
                )
        check_size(method.drawer, store, method.name)


def _facts(
    methods: Sequence[Method], store: Store, config: EvaluationConfig, networks: MetricNetworks
) -> dict[str, Any]:
    """What makes the table what it is: a folder holds one set of these only."""
    return {
        "methods": [{"name": each.name, "kind": each.kind, **each.origin} for each in methods],
        "config": config_to_dict(config),
        "store": {"path": str(store.path.resolve()), **config_to_dict(store.info)},
        "metric_networks": networks.facts,
    }


def _usable_jobs(
    methods: Sequence[Method], clips: Sequence[StoredClip], store: Store, config: EvaluationConfig
) -> tuple[list[Job], dict[str, str]]:
    """Clips that can be evaluated, and why the others cannot; forecasts on disk may lack some.

    PosecastError where no clip is left, or where stored forecasts are of other windows.
    """
    jobs, left_out = choose_jobs(clips, store.with_poses(config.seen_poses), config.window)
    for method in methods:
        if method.stored is not None:
            left_out |= method.stored.missing(jobs, config.stride, config.seen_poses)
    jobs = [job for job in jobs if job.clip.clip_id not in left_out]
    if not jobs:
        raise PosecastError(f"not one clip can be evaluated: {'; '.join(left_out.values())[:1000]}")
    return jobs, left_out


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """What is asked of every clip."""

    methods: Sequence[Method]
    store: Store
    config: EvaluationConfig
    judges: Judges

    @property
    def names(self) -> list[str]:
        return [method.name for method in self.methods]

    def write_clips(self, jobs: list[Job], table: TableWriter) -> dict[str, str]:
        """Add the rows of each clip; returns clips that could not be evaluated, and why."""
        left_out = {}
        for job, poses in tracked(self._forecast(jobs), "evaluating", len(jobs)):
            try:
                curves = self._curves(job, poses)
            except (ClipError, StoreError, FileError) as error:
                left_out[job.clip.clip_id] = str(error)
                continue
            table.write(job.clip.clip_id, job.clip.action, curves, job.truth.future_frames)
        return left_out

    def finish(
        self,
        jobs: list[Job],
        table: TableWriter,
        out_path: Path,
        left_out: dict[str, str],
        uses: dict[str, int],
    ) -> int:
        """Put the parts of all processes together, add the numbers of all clips and the examples,
        and say so; returns how many clips there are. PosecastError where it is none."""
        table.absorb(_part_tables(out_path))
        jobs = [job for job in jobs if job.clip.clip_id in table.done]
        if not jobs:
            raise PosecastError(
                f"not one clip was evaluated: {'; '.join(left_out.values())[:1000]}"
            )
        table.write(ALL_CLIPS, "", self.judges.of_all_clips(self.names, jobs))
        write_examples(self.methods, self.store, jobs, out_path, self.config)
        close_record(out_path, left_out, uses)
        return len(jobs)

    def _forecast(self, jobs: list[Job]) -> Iterator[tuple[Job, list[PoseForecast | None]]]:
        """Each clip with the poses of each method, which are forecast for many clips at a time."""
        rest, config = iter(jobs), self.config
        while batch := list(itertools.islice(rest, CLIPS_PER_BATCH)):
            seen = [job.seen for job in batch]
            forecasts = [
                each.forecast_poses(seen, config.steps, config.futures) for each in self.methods
            ]
            yield from zip(batch, map(list, zip(*forecasts, strict=True)), strict=True)

    def _curves(self, job: Job, poses: Sequence[PoseForecast | None]) -> list[Curve]:
        judges, config = self.judges, self.config
        video = read_video(job, self.store) if job.clip.has_frames else None
        last_seen = None if video is None else video.seen.pictures[-1]
        curves = scores.movement_curves(job, None if video is None else video.future, last_seen)
        curves += judges.of_poses(TRUTH, job, None)
        if video is not None:
            curves += judges.of_frames(TRUTH, job, video, video.future)
        for method, forecast in zip(self.methods, poses, strict=True):
            predicted = method.futures_of(job, forecast, config.futures)
            if predicted is not None and method.kind != "oracle":
                curves += self._pose_curves(method.name, predicted, job)
                curves += judges.of_poses(method.name, job, predicted.joints_px[0])
            frames = None if video is None else method.draw(job, video, predicted, config.drawn)
            if video is not None and frames is not None:
                extra = judges.networks.frame_metrics
                futures = [
                    scores.frame_curves(method.name, each, video.future, extra) for each in frames
                ]
                weights = np.ones(1) if predicted is None else predicted.weights
                curves += scores.curves_of_samples(futures, weights, config.drawn, "psnr", True)
                curves += judges.of_frames(method.name, job, video, frames[0])
        return curves

    def _pose_curves(self, method: str, predicted: PoseForecast, job: Job) -> list[Curve]:
        count, thresholds = self.config.futures, self.config.thresholds
        futures = [
            scores.pose_curves(method, joints, job, thresholds) for joints in predicted.joints_px
        ]
        curves = scores.curves_of_samples(futures, predicted.weights, count, "distance")
        if count > 1:
            curves.append(scores.spread_curve(method, predicted.joints_px, job, count))
        return curves
