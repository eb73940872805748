"""Motion networks for Penn Action alone: designs compared on folds, the best trained anew.

    python -m benchmarks.motion_penn FOLDER OUT --seconds 150

FOLDER is what `benchmarks.motion_pack` makes; nothing of its videos is used but where a design says
so. Every design is trained on the training clips without one fifth, some fifths a design, side by
side on one GPU, and judged on the clips left out: the mean share of the last pose's error over
frames ahead, on the paper's eight actions, ten frames seen from the start. Then the best designs
are trained on all training clips, five seeds each. Leaves OUT/penn.json (all errors) and
OUT/seeds.safetensors (the best design's five seeds), both written again as it goes on.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from benchmarks.motion_many import advance, asked_for, keep_seeds
from benchmarks.motion_pack import unpack
from benchmarks.motion_stacked import Fit, Many, Variant
from posecast.computing.recording import recorded
from posecast.datasets.penn_action import PAPER_ACTIONS
from posecast.motion.neighbours import BASE_FILE, MotionBase
from posecast.motion.seen import joined
from posecast.motion.tracks import MotionTrack
from posecast.skeletons import PENN_ACTION
from posecast.training.motion_augmentation import MotionAugmentation
from posecast.training.motion_batches import MotionBatches, MotionMix, TrackFacts
from posecast.training.motion_validation import AHEAD, validation_windows
from posecast.training.motion_windows import (
    KIND_VIDEO,
    MotionWindows,
    WindowChoice,
    choose_windows,
    find_others,
)
from posecast.training.settings import FitConfig

FOLDS = 5
SEEDS = 5
CHOICES = {
    "wide": WindowChoice(first=6, whole=0.5, slowest=0.75, fastest=1.33),
    "narrow": WindowChoice(first=6, whole=0.5, slowest=0.87, fastest=1.15),
    "whole": WindowChoice(first=6, whole=1.0, slowest=0.75, fastest=1.33),
}
"""Sets of windows."""


@dataclass(frozen=True)
class Diet:
    """What a network is trained on."""

    choice: str = "wide"
    first: float = 0.5
    """Share of windows of the first frames of a clip."""
    videos: float = 0.0
    """Share of windows of videos."""
    preferred: float = 2.0
    """How much likelier a clip of the paper's eight actions is."""
    unknown: float = 0.15
    """Share of a batch of clips that the bold forecast is not trained on at first."""

    def mix(self, together: float) -> MotionMix:
        rest = 1 - self.first - self.videos
        return MotionMix(self.first, rest, self.unknown, self.preferred, together)


DIETS = {
    "plain": Diet(),
    "starts": Diet(first=0.8),
    "fewer starts": Diet(first=0.28),
    "narrow": Diet(choice="narrow"),
    "whole": Diet(choice="whole"),
    "paper": Diet(preferred=8.0),
    "videos": Diet(first=0.4, videos=0.2),
}
_TRUSTING = {"trust": Diet(unknown=0.3), "shipped": Diet(first=0.28, videos=0.42, unknown=0.3)}
_BOLD = ("cautious",)
_PLAIN = Variant("bold", without=_BOLD, diet="plain")
DESIGNS = (
    _PLAIN,
    replace(_PLAIN, name="dropout .1", dropout=0.1),
    replace(_PLAIN, name="inputs .3", input_dropout=0.3),
    replace(_PLAIN, name="varied more", augmentation=1.6),
    replace(_PLAIN, name="varied much more", augmentation=2.5),
    replace(_PLAIN, name="mixed", mixed=0.6),
    replace(_PLAIN, name="actions told more", action=5.0),
    replace(_PLAIN, name="half the rate", rate=0.5),
    replace(_PLAIN, name="a quarter of the rate", rate=0.25),
    replace(_PLAIN, name="without own past", without=(*_BOLD, "own_past")),
    replace(_PLAIN, name="without neighbours", without=(*_BOLD, "neighbours")),
    *(replace(_PLAIN, name=name, diet=name) for name in DIETS if name != "plain"),
    Variant("trust", diet="trust"),
    Variant("as shipped", diet="shipped"),
)
"""Compared on folds; names and numbers of seeds and folds are set by `on_folds`."""


@dataclass(frozen=True)
class Data:
    """Windows to learn from, and those that judge, with what is known of their tracks."""

    windows: MotionWindows
    choice: Int[np.ndarray, " n"]
    """Which of `CHOICES` each window is of."""
    tracks: list[MotionTrack]
    fold: Int[np.ndarray, " tracks"]
    """-1 for videos."""
    actions: tuple[str, ...]
    judged: MotionWindows
    """The first ten frames of every training clip; other clips are its neighbours."""
    validation: MotionWindows
    """Those of the validation clips."""

    @property
    def is_paper(self) -> Bool[np.ndarray, " tracks"]:
        return np.array([track.action in PAPER_ACTIONS for track in self.tracks])

    @classmethod
    def make(cls, asked: argparse.Namespace, device: torch.device) -> "Data":
        packed = unpack(asked.folder)
        base = MotionBase.load(asked.folder / BASE_FILE).to(device)
        known = sorted(packed.known[:: asked.part], key=lambda track: not track.is_clip)
        clips = [track for track in known if track.is_clip]
        apart = packed.apart(known)
        parts = []
        for seed, choice in enumerate(CHOICES.values()):
            rounds = replace(choice, rounds_clip=asked.rounds, rounds_video=1)
            parts.append(choose_windows(clips if seed else known, rounds, seed, asked.workers))
        choice = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        windows = find_others(joined(parts), base, apart)
        is_clip = np.array([track.is_clip for track in known])
        fold = np.where(is_clip, (np.cumsum(is_clip) - 1) % FOLDS, -1)
        judged = validation_windows(known, base, apart)["clips"]
        validation = validation_windows(packed.held_out[:: asked.part], base)["clips"]
        actions = tuple(sorted({track.action for track in known} - {""}))
        return cls(windows, choice, known, fold, actions, judged, validation)

    def facts(self) -> TrackFacts:
        return TrackFacts.of(self.tracks, self.actions, PAPER_ACTIONS)

    def draws(
        self, variants: Sequence[Variant], fit: Fit, device: torch.device
    ) -> list[tuple[int, MotionBatches]]:
        """What neighbouring variants of one diet and fold are trained on."""
        facts, plan = self.facts(), FitConfig(1, fit.batch_size)
        every = MotionBatches(
            self.windows, facts, PENN_ACTION.mirror, MotionMix(), MotionAugmentation(), plan, device
        )
        draws = []
        for (name, fold), group in groupby(variants, lambda each: (each.diet, each.fold)):
            diet = (DIETS | _TRUSTING)[name]
            rows = self.choice == list(CHOICES).index(diet.choice)
            if fold >= 0:
                rows &= self.fold[self.windows.track] != fold
            if not diet.videos:
                rows &= self.windows.kind != KIND_VIDEO
            part = every.among(diet.mix(1.0), rows)
            draws.append((len(list(group)), part))
        return draws


def on_folds(designs: Sequence[Variant], folds: int) -> tuple[Variant, ...]:
    """Every design on some folds, those of one diet and fold beside each other."""
    everybody = [replace(design, fold=fold) for design in designs for fold in range(folds)]
    return tuple(sorted(everybody, key=lambda each: (each.diet, each.fold)))


def seeds_of(names: Sequence[str]) -> list[Variant]:
    """The designs of these names, with several seeds each."""
    designs = {each.name: each for each in DESIGNS}
    return [
        replace(designs[name], name=f"{name} {seed}", seed=seed)
        for name in names
        for seed in range(SEEDS)
    ]


def train(
    many: Many,
    one_step: Callable[[], Tensor],
    asked: argparse.Namespace,
    until: float,
    clock: Callable[[], float],
    steps: float = np.inf,
) -> int:
    """Train until a time, or for a number of steps if that is sooner; the steps made."""
    many.begin_again()
    first, step = clock(), 0
    span = max(until - first, 1e-3)
    while (done := max((clock() - first) / span, step / steps)) < 1:
        step = advance(many, asked, one_step, step, done)
    return step


def scores_of(many: Many, data: Data) -> dict[str, dict[str, list[list[float]]]]:
    """Of each design, and for each fold, shares of the last pose's error on the clips left out."""
    tracks = data.judged.track
    found: dict[str, dict[str, list[list[float]]]] = {}
    for row, variant in enumerate(many.variants):
        out = data.fold[tracks] == variant.fold
        sets = {"paper": out & data.is_paper[tracks], "all": out}
        parts = {name: data.judged.take(rows) for name, rows in sets.items()}
        shares = many.validate(parts, [row])[variant.name]
        of_design = found.setdefault(variant.name, {name: [] for name in sets})
        for name, share in shares.items():
            of_design[name].append(share.round(4).tolist())
    return found


def main() -> None:
    """Compare designs, train the best anew."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    asked = asked_for(
        flags,
        seconds=150.0,
        comparing=0.6,
        rate=2e-3,
        together=0.75,
        batch_size=512,
        rounds=4,
        workers=12,
        folds=3,
        best=2,
        part=1,
        designs=len(DESIGNS),
        at_once=20,
    )
    began = time.monotonic()
    compare(asked, lambda: time.monotonic() - began)


def compare(asked: argparse.Namespace, clock: Callable[[], float]) -> None:
    """Both rounds; notes on the way."""

    def note(text: str) -> None:
        print(f"{clock():6.1f} s  {text}", flush=True)

    device = torch.device(asked.device)
    data, fit = Data.make(asked, device), Fit(batch_size=asked.batch_size, rate=asked.rate)
    note(f"{len(data.windows)} windows of {len(data.tracks)} tracks, {len(data.judged)} judge")
    torch.set_float32_matmul_precision("high")  # not before: distances of neighbours need it all
    asked.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, object] = {"ahead": AHEAD}

    def stacked(variants: Sequence[Variant]) -> tuple[Many, Callable[[], Tensor]]:
        torch.manual_seed(0)
        draws = data.draws(variants, fit, device)
        many = Many(tuple(variants), data.actions, draws, fit, device)
        return many, recorded(many.step, "off" if asked.eager else "auto", device)

    def keep(name: str, value: object) -> None:
        found[name] = value
        (asked.out / "penn.json").write_text(json.dumps(found))

    many, one_step = stacked(on_folds(DESIGNS[: asked.designs], asked.folds))
    note(f"{len(many.variants)} networks")
    until = clock() + asked.comparing * (asked.seconds - clock())
    steps = train(many, one_step, asked, until, clock)
    shares = scores_of(many, data)
    keep("folds", {"steps": steps, "shares": shares})
    score = {name: float(np.mean(each["paper"])) for name, each in shares.items()}
    order = sorted(score, key=score.__getitem__)
    note(f"{steps} steps: " + ", ".join(f"{name} {score[name]:.4f}" for name in order))
    best = seeds_of(order[: asked.best])
    del many, one_step
    many, one_step = stacked(best)
    steps = train(many, one_step, asked, asked.seconds - 2, clock, steps * FOLDS / (FOLDS - 1))
    keep_seeds(many, range(SEEDS), asked.out, {"design": order[0], "clips": "training clips"})
    shares = many.validate({"clips": data.validation}, list(range(len(best))))
    of_clips = {name: each["clips"] for name, each in shares.items()}
    rounded = {name: each.round(4).tolist() for name, each in of_clips.items()}
    keep("best", {"steps": steps, "shares": rounded})
    said = ", ".join(f"{name} {each.mean():.4f}" for name, each in of_clips.items())
    note(f"{steps} steps, validation clips: {said}")


if __name__ == "__main__":
    main()
