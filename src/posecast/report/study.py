"""`posecast study make`: a page on which people say which of two continuations they prefer.

Blind: neither file names nor their order on the page say which side is what; that stands in
STUDY/key.json alone. See `study_files` for what is written, `study_answers` for what is read.
"""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from posecast.errors import PosecastError
from posecast.evaluation.examples import (
    Example,
    ExampleFacts,
    read_example,
    read_facts,
    shown_methods,
)
from posecast.evaluation.record import read_record
from posecast.evaluation.setup import distinct_names
from posecast.media.frame_folders import write_picture
from posecast.records.arguments import check_settings
from posecast.records.configs import config_to_dict
from posecast.records.files import FileError, write_json, write_text
from posecast.report.players import QUALITY, enlarged, grid_of, pose_pictures
from posecast.report.rendering import render
from posecast.report.study_files import SPOILT, TRUTH, StudyKey, StudyPair
from posecast.skeletons import SKELETONS, Skeleton

QUESTIONS = {
    False: "Which of the two goes on more like a real video?",
    True: "Which of the two is nearer to what really came, shown above?",
}


@dataclass(frozen=True)
class StudyConfig:
    """What people are asked."""

    against: tuple[str, ...] = ()
    """Methods that each forecast is compared with, by their names in the tables; all baselines and
    all other forecasts, if none is given."""
    clips: int = 0
    """Clips of each comparison, drawn by lot; 0: all that the evaluations kept."""
    show: Literal["frames", "poses"] = "frames"
    """Drawn frames, or skeletons on an even ground."""
    truth: bool = False
    """Show what really came above the two."""
    checks: int = 3
    """Attention checks: what really came, against the same upside down."""
    seed: int = 0
    """Of the lots, the sides and the order."""
    question: str = ""
    """Another question than the usual one."""


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """A finished evaluation and the clips that it kept."""

    path: Path
    methods: dict[str, str]
    """Name -> kind."""
    skeleton: Skeleton
    examples: dict[str, tuple[Path, ExampleFacts]]


@dataclass(frozen=True)
class _Contestant:
    """One method of one evaluation."""

    label: str
    evaluation: int
    method: str
    kind: str


@dataclass(frozen=True)
class _Task:
    """A pair to be drawn."""

    clip: str
    left: _Contestant
    right: _Contestant


def make_study(
    evaluations: Sequence[str | Path], out_path: str | Path, config: StudyConfig | None = None
) -> str:
    """Write the page and the key of a study of finished evaluations; returns a summary.

    Each forecast is compared with the baselines of its own evaluation and with all other forecasts,
    on clips that both have.

    Raises:
        PosecastError: no evaluation, nothing to compare, or OUT holds something already.
    """
    config = check_settings(config or StudyConfig(), StudyConfig, "config")
    out_path = Path(out_path)
    if out_path.exists() and (not out_path.is_dir() or any(out_path.iterdir())):
        raise FileError(f"{out_path} is there already; give a new or empty folder")
    opened = [_open(Path(path)) for path in evaluations]
    study = _Study(opened, config, np.random.default_rng(config.seed))
    comparisons = study.comparisons(_contestants(opened))
    shown, pairs = study.write_pairs(study.tasks(comparisons), out_path / "page" / "files")
    question = config.question or QUESTIONS[config.truth]
    made = {frozenset((pair.left, pair.right)) for pair in pairs}
    labels = tuple((a.label, b.label) for a, b in comparisons if {a.label, b.label} in made)
    name = hashlib.sha256(repr((question, config, pairs)).encode()).hexdigest()[:12]
    sources = tuple(str(each.path.resolve()) for each in opened)
    order = study.rng.permutation(len(shown)).tolist()
    data = {"study": name, "pairs": [shown[n] for n in order]}
    write_text(
        out_path / "page" / "index.html",
        render("study.html", question=question, truth=config.truth, data=data),
    )
    key = StudyKey(name, question, config.seed, labels, tuple(pairs), sources)
    write_json(out_path / "key.json", config_to_dict(key))
    return _summary(out_path, pairs, labels, opened)


def _summary(
    out_path: Path,
    pairs: Sequence[StudyPair],
    labels: Sequence[tuple[str, str]],
    opened: Sequence[_Evaluation],
) -> str:
    asked = [pair for pair in pairs if not pair.is_check]
    lines = [
        f"{out_path}: {len(asked)} pairs and {len(pairs) - len(asked)} attention checks",
        *(f"  {a} against {b}" for a, b in labels),
        f"Give raters {out_path / 'page'} alone: {out_path / 'key.json'} says which side is what.",
    ]
    if any(facts.rank != "random" for each in opened for _, facts in each.examples.values()):
        lines.append(
            "The clips are the best, middle and worst of an evaluation, no fair sample: evaluate "
            "with --random-examples N"
        )
    return "\n".join(lines)


def _open(path: Path) -> _Evaluation:
    """Clips drawn by lot where there are any, else the best, the middle and the worst."""
    record: dict[str, Any] = read_record(path)
    found = read_facts(path, ("random",)) or read_facts(path)
    return _Evaluation(
        path,
        {each["name"]: each["kind"] for each in record["methods"]},
        SKELETONS[record["store"]["skeleton"]],
        {facts.clip_id: (file, facts) for file, facts in found.items()},
    )


def _contestants(opened: Sequence[_Evaluation]) -> list[_Contestant]:
    """All methods; where there are several evaluations their folders tell forecasts apart."""
    names = distinct_names([each.path for each in opened])
    return [
        _Contestant(f"{method} of {name}" if len(opened) > 1 else method, number, method, kind)
        for number, (each, name) in enumerate(zip(opened, names, strict=True))
        for method, kind in each.methods.items()
    ]


@dataclass(frozen=True, eq=False)
class _Study:
    """What is compared, and by lot."""

    opened: Sequence[_Evaluation]
    config: StudyConfig
    rng: np.random.Generator

    def comparisons(
        self, contestants: Sequence[_Contestant]
    ) -> list[tuple[_Contestant, _Contestant]]:
        """Each forecast with the others of its evaluation, and with forecasts of others."""
        known, against = {each.method for each in contestants}, self.config.against
        if unknown := set(against) - known:
            raise PosecastError(
                f"no method {sorted(unknown)}; there are {', '.join(sorted(known))}"
            )
        wanted = against or {each.method for each in contestants if each.kind != "oracle"}
        forecasts = [each for each in contestants if each.kind == "forecast"]
        pairs = list(itertools.combinations(forecasts, 2))
        pairs += [
            (each, other)
            for each in forecasts
            for other in contestants
            if other.kind != "forecast" and other.evaluation == each.evaluation
        ]
        return [
            (a, b)
            for a, b in pairs
            if b.method in wanted or (a.method in wanted and b.kind == "forecast")
        ]

    def tasks(self, comparisons: list[tuple[_Contestant, _Contestant]]) -> list[_Task]:
        """Pairs by clip, in every comparison as often on one side as on the other; then the checks.

        Nothing of comparisons of which nothing can be shown.
        """
        tasks: list[_Task] = []
        for a, b in comparisons:
            known = self.opened[a.evaluation].examples
            clips = [clip for clip in known if self._can_show(clip, a) and self._can_show(clip, b)]
            chosen = self.rng.permutation(clips).tolist()[: self.config.clips or None]
            swapped = self.rng.permutation(len(chosen)) % 2 == 1
            pairs = [(b, a) if swap else (a, b) for swap in swapped]
            tasks += [_Task(clip, *pair) for clip, pair in zip(chosen, pairs, strict=True)]
        if not tasks:
            raise PosecastError(
                f"nothing to compare in {self.config.show}: a study needs a forecast, something "
                "beside it, and clips that both have (posecast evaluate --image-run ... "
                "--random-examples N)"
            )
        checked = self.rng.integers(0, len(tasks), self.config.checks)
        return tasks + [self._check(tasks[n]) for n in checked]

    def _check(self, task: _Task) -> _Task:
        """An attention check on the clip of a pair."""
        number = task.left.evaluation
        true, spoilt = (_Contestant(name, number, name, "") for name in (TRUTH, SPOILT))
        return _Task(task.clip, *((true, spoilt) if self.rng.random() < 0.5 else (spoilt, true)))

    def _can_show(self, clip: str, each: _Contestant) -> bool:
        example = self.opened[each.evaluation].examples.get(clip)
        return example is not None and each.method in shown_methods(example[0], self.config.show)

    def write_pairs(
        self, tasks: Sequence[_Task], folder: Path
    ) -> tuple[list[dict[str, Any]], list[StudyPair]]:
        """Draw all pairs; what the page is told of each, and what the key says of it."""
        tokens = iter([f"{n:08x}" for n in self.rng.choice(2**32, 4 * len(tasks), replace=False)])
        shown, pairs = [], []
        for task in tasks:
            movies, example = self._movies(task)
            files = {}
            for name, movie in movies.items():
                files[name] = f"{next(tokens)}.jpg"
                write_picture(folder / files[name], grid_of(movie), QUALITY)
            length, height, width = movies["left"].shape[:3]
            facts = {"pair": next(tokens), "past": len(example.past_visible), "frames": length}
            facts |= {"fps": example.facts.fps, "height": height, "width": width}
            shown.append(facts | files)
            made = (example.facts.action, task.left.label, task.right.label)
            pairs.append(StudyPair(facts["pair"], task.clip, *made))
        return shown, pairs

    def _movies(self, task: _Task) -> tuple[dict[str, UInt8[np.ndarray, "_ _ _ 3"]], Example]:
        """left, right and, if it is shown, truth: equally long, the seen frames first."""
        sides = {"left": task.left, "right": task.right}
        if self.config.truth:
            sides["truth"] = _Contestant(TRUTH, task.left.evaluation, TRUTH, "")
        examples = {
            number: read_example(*self.opened[number].examples[task.clip])
            for number in {each.evaluation for each in sides.values()}
        }
        example = examples[task.left.evaluation]
        for each in examples.values():
            if not np.array_equal(each.past_joints_crop, example.past_joints_crop):
                raise PosecastError(
                    f"clip {task.clip}: the evaluations saw other frames of it: evaluate both alike"
                )
        futures = {}
        for name, each in sides.items():
            shown, skeleton = examples[each.evaluation], self.opened[each.evaluation].skeleton
            futures[name] = _goes_on(shown, each.method, skeleton, self.config.show)
        length = min(len(each) for each in futures.values())
        return {name: enlarged(each[:length]) for name, each in futures.items()}, example


def _goes_on(
    example: Example, method: str, skeleton: Skeleton, show: str
) -> UInt8[np.ndarray, "t h w 3"]:
    """The seen frames and what a method makes of them; TRUTH and SPOILT are methods too."""
    if show == "frames":
        past, future = example.past_frames, example.future_frames
        if method not in (TRUTH, SPOILT):
            future = example.frames[method][0]
        assert past is not None
        assert future is not None
    else:
        joints, visible = example.future_joints_crop, example.future_visible
        if method not in (TRUTH, SPOILT):
            joints = example.poses[method][0]
            visible = np.tile(np.any(example.past_visible, axis=0), (len(joints), 1))
        past = pose_pictures(example.past_joints_crop, example.past_visible, example, skeleton)
        future = pose_pictures(joints, visible, example, skeleton)
    return np.concatenate([past, future[:, ::-1] if method == SPOILT else future])
