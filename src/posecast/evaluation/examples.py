"""A few clips with all their forecasts, to look at: the best, the middle and the worst ones, and
as many more, drawn by lot, as were asked for (for `posecast study make`).

    OUT/examples/NN-RANK-CLIP.json   facts of the example
    OUT/examples/NN-RANK-CLIP.npz    its arrays

Ranked by the first forecast's mean over frames, or by the first method's where none forecasts: by
pose distance where it has poses, else by PSNR.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.evaluation.methods import Method
from posecast.evaluation.record import EvaluationConfig
from posecast.evaluation.summary import Summary, summarise_rows
from posecast.evaluation.table import read_table
from posecast.forecasting.jobs import ClipVideo, Job, read_video
from posecast.geometry import px_to_crop
from posecast.records.configs import config_from_dict, config_to_dict
from posecast.records.files import read_json, reading, save_arrays, write_json, write_safely
from posecast.store.reading import Store

Rank = Literal["best", "median", "worst", "random"]

_POSES, _FRAMES = "poses of ", "frames of "


@dataclass(frozen=True)
class ExampleFacts:
    """What is known of an example besides its arrays."""

    clip_id: str
    action: str
    rank: Rank
    method: str
    """Whose number ranked it."""
    metric: str
    """Which number that is."""
    score: float
    fps: float
    """Frames a second of those shown, every n-th of the clip."""
    crop_hw: tuple[int, int]
    """Height and width of the crop in source pixels."""


@dataclass(frozen=True, eq=False)
class Example:
    """One clip with what really came and what each method said."""

    facts: ExampleFacts
    past_joints_crop: Float[np.ndarray, "p j 2"]
    past_visible: Bool[np.ndarray, "p j"]
    future_joints_crop: Float[np.ndarray, "t j 2"]
    """As many frames as the clip has."""
    future_visible: Bool[np.ndarray, "t j"]
    past_frames: UInt8[np.ndarray, "p h w 3"] | None
    future_frames: UInt8[np.ndarray, "t h w 3"] | None
    poses: dict[str, Float[np.ndarray, "s t j 2"]]
    """Joints as shares of the crop, by method: one or more futures, the likeliest first."""
    frames: dict[str, UInt8[np.ndarray, "n t h w 3"]]
    """Of the first n futures, by method."""


def write_examples(
    methods: Sequence[Method],
    store: Store,
    jobs: Sequence[Job],
    out_path: Path,
    config: EvaluationConfig,
) -> None:
    """Choose the examples that `config` asks for and write them, unless they are there.

    Clips with frames go first: where there are any, only those are shown.
    """
    with_frames = [job for job in jobs if job.clip.has_frames]
    by_id = {job.clip.clip_id: job for job in with_frames or jobs}
    folder = out_path / "examples"
    for number, facts in enumerate(_choose(methods, by_id, out_path, config)):
        name = f"{number:02d}-{facts.rank}-{facts.clip_id}"
        if not (folder / f"{name}.json").is_file():
            arrays = _arrays(methods, store, by_id[facts.clip_id], config)
            write_safely(
                folder / f"{name}.npz", lambda path, content=arrays: save_arrays(path, content)
            )
            write_json(folder / f"{name}.json", config_to_dict(facts))


def read_facts(
    out_path: str | Path, ranks: Collection[Rank] = ("best", "median", "worst")
) -> dict[Path, ExampleFacts]:
    """The examples that have these ranks, from best to worst, by the files of their arrays."""
    paths = (Path(out_path) / "examples").glob("*.json")
    numbered = sorted(paths, key=lambda path: int(path.name.split("-")[0]))
    facts = {path: config_from_dict(ExampleFacts, read_json(path)) for path in numbered}
    return {path.with_suffix(".npz"): each for path, each in facts.items() if each.rank in ranks}


def _choose(
    methods: Sequence[Method], jobs: dict[str, Job], out_path: Path, config: EvaluationConfig
) -> list[ExampleFacts]:
    """Examples from best to worst, then those drawn by lot; no clip twice in either."""
    main = next((method.name for method in methods if method.kind == "forecast"), methods[0].name)
    summary = summarise_rows(
        row
        for row in read_table(out_path / "rows.csv")
        if row.method == main and row.metric in ("distance", "psnr") and row.clip in jobs
    )
    metric = "distance" if summary.has(main, "distance") else "psnr"
    if not summary.has(main, metric):
        return []
    ranked = _ranked(summary, main, metric)
    chosen = [*_ranks(ranked, config.examples), *_by_lot(ranked, config.random_examples)]
    facts = []
    for rank, clip_id, score in chosen:
        clip = jobs[clip_id].clip
        whose = (clip_id, clip.action, rank, main, metric)
        facts.append(ExampleFacts(*whose, score, jobs[clip_id].seen.fps, clip.crop.hw))
    return facts


def _ranked(summary: Summary, method: str, metric: str) -> list[tuple[str, float]]:
    """Clips with their score, the best first."""
    scores = summary.clip_means(method, metric).tolist()
    pairs = [pair for pair in zip(summary.clips, scores, strict=True) if np.isfinite(pair[1])]
    return sorted(pairs, key=lambda pair: -pair[1] if metric == "psnr" else pair[1])


def _ranks(ranked: list[tuple[str, float]], num_each: int) -> list[tuple[Rank, str, float]]:
    middle = max((len(ranked) - num_each) // 2, 0)
    places: dict[int, Rank] = {}
    groups: list[tuple[Rank, range]] = [
        ("best", range(num_each)),
        ("worst", range(len(ranked) - num_each, len(ranked))),
        ("median", range(middle, middle + num_each)),
    ]
    for rank, numbers in groups:
        for number in numbers:
            if 0 <= number < len(ranked):
                places.setdefault(number, rank)
    return [(places[number], *ranked[number]) for number in sorted(places)]


def _by_lot(ranked: list[tuple[str, float]], num_clips: int) -> list[tuple[Rank, str, float]]:
    """So many clips, whatever their score; the order of the draw does not depend on methods."""
    scores = dict(ranked)
    order = np.random.default_rng(0).permutation(sorted(scores)).tolist()
    return [("random", clip_id, scores[clip_id]) for clip_id in order[:num_clips]]


def _arrays(
    methods: Sequence[Method], store: Store, job: Job, config: EvaluationConfig
) -> dict[str, np.ndarray]:
    """All arrays of one example by the names of their fields."""
    window, crop = job.truth, job.clip.crop
    length = window.num_truth
    arrays: dict[str, np.ndarray] = {
        "past_joints_crop": px_to_crop(window.past.joints_px, crop),
        "past_visible": window.past.visible,
        "future_joints_crop": px_to_crop(window.future_joints_px[:length], crop),
        "future_visible": window.future_visible[:length],
    }
    video = read_video(job, store) if job.clip.has_frames else None
    if video is not None:
        arrays |= {"past_frames": video.seen.pictures, "future_frames": video.future}
    for method in methods:
        arrays |= _forecast_arrays(method, job, video, config)
    return arrays


def _forecast_arrays(
    method: Method, job: Job, video: ClipVideo | None, config: EvaluationConfig
) -> dict[str, np.ndarray]:
    length = job.truth.num_truth  # what was measured reached further, and may depend on that
    forecast = method.forecast_poses([job.seen], config.steps, config.futures)[0]
    poses = method.futures_of(job, forecast, config.futures)
    arrays = {}
    if poses is not None and method.kind != "oracle":
        joints = poses.joints_px[:, :length].astype(np.float32)
        arrays[_POSES + method.name] = px_to_crop(joints, job.clip.crop)
    frames = None if video is None else method.draw(job, video, poses, config.drawn)
    if frames is not None:
        arrays[_FRAMES + method.name] = frames
    return arrays


def shown_methods(path: Path, what: Literal["poses", "frames"]) -> list[str]:
    """Methods of which an example (one of `read_facts`) has them, without reading the arrays."""
    prefix = f"{what} of "
    with reading(path), np.load(path) as stored:
        return [name.removeprefix(prefix) for name in stored.files if name.startswith(prefix)]


def read_example(path: Path, facts: ExampleFacts) -> Example:
    """One of `read_facts`; FileError where it is damaged."""
    with reading(path), np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    names = ("past_joints_crop", "past_visible", "future_joints_crop", "future_visible")
    return Example(
        facts,
        *(arrays[name] for name in names),
        *(arrays.get(name) for name in ("past_frames", "future_frames")),
        *(_by_method(arrays, prefix) for prefix in (_POSES, _FRAMES)),
    )


def _by_method(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Those of one kind, with the axis of futures, which 56aa31b and its followers left out."""
    num_axes = {_POSES: 4, _FRAMES: 5}[prefix]
    return {
        name.removeprefix(prefix): array if array.ndim == num_axes else array[None]
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
