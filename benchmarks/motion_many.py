"""Train many motion networks side by side on one GPU: seeds, and what each part gives.

    python -m benchmarks.motion_many FOLDER OUT --seconds 200

FOLDER is what `benchmarks.motion_pack` makes. Every network is one row of stacked weights, a step
of all of them is one CUDA graph, windows are drawn and varied on the GPU. It spends `--seconds` in
all, start-up included, and leaves OUT/motion.json (errors of the variants on the validation clips
and groups, over the training) and OUT/seeds.safetensors: averaged weights of the five seeds of the
design that validated best. With `--regrets` networks of these regrets are trained instead, two
seeds of each (0 and 1 of the first, 2 and 3 of the second), and all are kept.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.motion_pack import unpack
from benchmarks.motion_stacked import Fit, Many, Variant
from posecast.computing.recording import recorded
from posecast.datasets.penn_action import PAPER_ACTIONS
from posecast.motion.neighbours import BASE_FILE, MotionBase
from posecast.records.configs import config_to_dict
from posecast.records.weights import WeightsFacts, write_weights
from posecast.skeletons import PENN_ACTION
from posecast.training.motion_augmentation import MotionAugmentation
from posecast.training.motion_batches import MotionBatches, MotionMix, TrackFacts
from posecast.training.motion_validation import AHEAD, mean_share, validation_windows
from posecast.training.motion_windows import (
    MotionWindows,
    WindowChoice,
    choose_windows,
    find_others,
)
from posecast.training.settings import FitConfig

DESIGNS = ("free", "held", "regret")
"""Of which five seeds are trained; the one that validates better is kept."""
VARIANTS = (
    *(Variant(f"free {seed}", seed) for seed in range(5)),
    *(Variant(f"held {seed}", seed, dropout=0.45, decay=0.3) for seed in range(5)),
    Variant("without own past", without=("own_past",)),
    Variant("without neighbours", without=("neighbours",)),
    Variant("without filters", without=("filters",)),
    Variant("without frames before the last ten", without=("older_frames",)),
    Variant("cautious only", without=("bold",)),
    Variant("bold only", without=("cautious",), all_known=True),
    Variant("without guesses", without=("own_past", "neighbours")),
    Variant("without actions", action=0.0),
    Variant("without augmentation", augmentation=0.0),
    Variant("without regret", regret=0.0),
    Variant("more regret", regret=1.5),
    Variant("far frames count more", near=0.0),
    Variant("far frames count still more", near=-0.35),
    Variant("frames count nearly alike", near=-0.7),
    Variant("half the learning rate", rate=0.5),
)


def of_regrets(regrets: Sequence[float]) -> tuple[Variant, ...]:
    """Two seeds of each; the one design of which all are kept."""
    return tuple(
        Variant(f"regret {seed}", seed, regret=regrets[seed // 2])
        for seed in range(2 * len(regrets))
    )


def train(folder: Path, out: Path, asked: argparse.Namespace) -> None:
    """All variants, within the time asked for."""
    began = time.monotonic()

    def note(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    device = torch.device(asked.device)
    variants = of_regrets(asked.regrets) or VARIANTS[: asked.variants]
    fit = Fit(batch_size=asked.batch_size, rate=asked.rate)
    packed = unpack(folder)
    known, held_out = packed.known[:: asked.part], packed.held_out[:: asked.part]
    base = MotionBase.load(folder / BASE_FILE)
    choice = WindowChoice(asked.rounds_clip, asked.rounds_video, slowest=0.75, fastest=1.33)
    note(f"{len(known)} tracks, {len(held_out)} held out, {len(base)} entries")
    windows = choose_windows(known, choice, 0, asked.workers)
    note(f"{len(windows)} windows")
    base = base.to(device)
    windows = find_others(windows, base, packed.apart(known))
    note("neighbours found")
    sets = validation_windows(held_out, base)
    note(f"{sum(map(len, sets.values()))} validation windows")
    actions = tuple(sorted({track.action for track in known} - {""}))
    facts = TrackFacts.of(known, actions, PAPER_ACTIONS)
    mix = MotionMix(together=asked.together)
    settings = (mix, MotionAugmentation(), FitConfig(1, fit.batch_size), device)
    batches = MotionBatches(windows, facts, PENN_ACTION.mirror, *settings)
    many = Many(variants, actions, [(len(variants), batches)], fit, device)
    torch.set_float32_matmul_precision("high")  # not before: distances of neighbours need it all
    torch.manual_seed(0)
    one_step = recorded(many.step, "off" if asked.eager else "auto", device)
    out.mkdir(parents=True, exist_ok=True)
    run(Record(many, sets, out), one_step, asked, note, lambda: time.monotonic() - began)


@dataclass
class Record:
    """What was measured, and the seeds that validated best so far."""

    many: Many
    sets: dict[str, MotionWindows]
    out: Path
    looks: list[dict[str, object]] = field(default_factory=list)
    best: float = np.inf

    def look(self, turn: int, step: int, seconds: float, everybody: bool) -> str:
        """Validate the seeds, or everybody; write what there is."""
        kinds = [variant.name.split()[0] for variant in self.many.variants]
        rows = [row for row, kind in enumerate(kinds) if everybody or kind in DESIGNS]
        found = self.many.validate(self.sets, rows)
        scores = {name: mean_share(each)["validation_ratio"] for name, each in found.items()}
        for design in DESIGNS:
            names = [name for name in scores if name.startswith(f"{design} ")]
            score = float(np.mean([scores[name] for name in names])) if names else np.inf
            if score < self.best:
                self.best = score
                kept = [row for row in rows if self.many.variants[row].name in names]
                made = {"design": design, "turn": turn}
                keep_seeds(self.many, kept, self.out, made)
        shares = {
            variant: {name: row.round(4).tolist() for name, row in each.items()}
            for variant, each in found.items()
        }
        self.looks.append({"turn": turn, "step": step, "seconds": seconds, "shares": shares})
        text = json.dumps({"ahead": AHEAD, "looks": self.looks})
        (self.out / "motion.json").write_text(text)
        return " ".join(f"{name}: {score:.3f}" for name, score in scores.items())


def keep_seeds(many: Many, rows: Sequence[int], out: Path, made: dict[str, object]) -> None:
    """OUT/seeds.safetensors: averaged weights of some networks, named by their seeds."""
    tensors = {
        f"{many.variants[row].seed}.{key}": value
        for row in rows
        for key, value in many.weights(row).items()
    }
    config = config_to_dict(many.variants[rows[0]].config(many.actions))
    step = int(many.done)
    facts = WeightsFacts("motion", config, PENN_ACTION.name, fps=30.0, trained_on=made, step=step)
    write_weights(out / "seeds.safetensors", tensors, facts)


def advance(
    many: Many, asked: argparse.Namespace, one_step: Callable[[], Tensor], step: int, done: float
) -> int:
    """Some steps more, `done` of the training behind them; the steps made in all."""
    warm = min(1.0, (step + 1) / 300)
    many.rate.fill_(asked.rate * warm * (1 + np.cos(np.pi * done)) / 2)
    many.together.fill_(float(done >= asked.together))
    for _ in range(asked.at_once):
        one_step()
    if many.rate.device.type == "cuda":
        torch.cuda.synchronize()
    return step + asked.at_once


def run(
    record: Record,
    one_step: Callable[[], Tensor],
    asked: argparse.Namespace,
    note: Callable[[str], None],
    clock: Callable[[], float],
) -> None:
    """Trainings one after the other, each with the learning rate on a cosine over its time."""
    many, began = record.many, clock()
    total = asked.seconds - asked.spare - began
    for turn, share in enumerate(asked.turns):
        many.begin_again()
        first = clock()
        end = min(first + share / sum(asked.turns) * total, began + total)
        step, next_look = 0, first + asked.every
        while (now := clock()) < end:
            step = advance(many, asked, one_step, step, (now - first) / (end - first))
            if clock() >= next_look:
                note(f"turn {turn} step {step}: {record.look(turn, step, clock(), False)}")
                next_look = clock() + asked.every
        note(f"turn {turn} step {step}, all: {record.look(turn, step, clock(), True)}")


def asked_for(flags: argparse.ArgumentParser, **numbers: float) -> argparse.Namespace:
    """FOLDER, OUT, numbers with their usual values, and where and how to compute."""
    for name in ("folder", "out"):
        flags.add_argument(name, type=Path)
    for name, value in numbers.items():
        flags.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    flags.add_argument("--device", default="cuda")
    flags.add_argument("--eager", action="store_true")
    return flags.parse_args()


def main() -> None:
    """Train what the command line asks for."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    flags.add_argument("--turns", type=float, nargs="+", default=[1.0, 2.5])
    flags.add_argument("--regrets", type=float, nargs="*", default=[])
    asked = asked_for(
        flags,
        seconds=200.0,
        spare=5.0,
        every=20.0,
        rate=2e-3,
        together=0.75,
        batch_size=512,
        rounds_clip=6,
        rounds_video=3,
        workers=12,
        variants=len(VARIANTS),
        part=1,
        at_once=20,
    )
    train(asked.folder, asked.out, asked)


if __name__ == "__main__":
    main()
