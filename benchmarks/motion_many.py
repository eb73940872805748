"""Train many motion networks side by side on one GPU: seeds, and what each part gives.

    python -m benchmarks.motion_many FOLDER OUT --seconds 200

FOLDER is what `benchmarks.motion_pack` makes. Every network is one row of stacked weights, a step
of all of them is one CUDA graph, windows are drawn and varied on the GPU. It spends `--seconds` in
all, start-up included, and leaves OUT/motion.json (errors of the variants on the validation clips
and groups, over the training) and OUT/seeds.safetensors: averaged weights of the five seeds of the
design that validated best.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from benchmarks.motion_pack import unpack
from posecast.datasets.penn_action import PAPER_ACTIONS
from posecast.motion.neighbours import BASE_FILE, MotionBase
from posecast.motion.tracks import MotionTrack
from posecast.networks.motion_residual import MotionResidual, MotionResidualConfig
from posecast.networks.motion_values import MotionInputs, flip
from posecast.records.configs import config_to_dict
from posecast.records.weights import WeightsFacts, write_weights
from posecast.skeletons import PENN_ACTION
from posecast.training.motion_batches import (
    BatchPlan,
    MotionAugmentation,
    MotionBatch,
    MotionBatches,
    MotionMix,
    TrackFacts,
)
from posecast.training.motion_loss import MotionLoss, MotionLossConfig
from posecast.training.motion_validation import (
    AHEAD,
    mean_share,
    shares_of_last_pose,
    validation_windows,
)
from posecast.training.motion_windows import (
    MotionWindows,
    WindowChoice,
    choose_windows,
    find_others,
)

MODEL = MotionResidualConfig(width=256, blocks=4, dropout=0.25, input_dropout=0.1)


@dataclass(frozen=True)
class Variant:
    """One network: its seed, and what it is trained without."""

    name: str
    seed: int = 0
    without: tuple[str, ...] = ()
    """Parts of `MotionResidualConfig`."""
    all_known: bool = False
    """Whether the bold forecast is trained on everybody from the beginning."""
    augmentation: float = 1.0
    action: float = 1.0
    regret: float = 0.5
    near: float = 0.3
    rate: float = 1.0
    """Factor of the learning rate."""
    dropout: float = MODEL.dropout
    decay: float = 0.1

    def config(self, actions: tuple[str, ...]) -> MotionResidualConfig:
        parts = dict.fromkeys(self.without, False)
        return replace(MODEL, actions=actions, dropout=self.dropout, **parts)


DESIGNS = ("free", "held")
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


@dataclass(frozen=True)
class Fit:
    """How all of them are fitted."""

    batch_size: int = 512
    rate: float = 2e-3
    clip_norm: float = 1.0
    average: float = 0.999


class Many:
    """Stacked networks, their optimiser and averages."""

    def __init__(
        self,
        variants: tuple[Variant, ...],
        actions: tuple[str, ...],
        batches: MotionBatches,
        fit: Fit,
        device: torch.device,
    ) -> None:
        self.variants, self.actions = variants, actions
        self._batches, self._fit, self._device = batches, fit, device
        networks = []
        for variant in variants:
            torch.manual_seed(variant.seed)
            networks.append(MotionResidual(variant.config(actions)))
        self.template = networks[0].to(device)
        params, self.buffers = stack_module_state([network.to(device) for network in networks])
        self.params = {name: value.detach().requires_grad_() for name, value in params.items()}
        self._first = {name: value.detach().clone() for name, value in params.items()}
        self.average = {name: value.detach().clone() for name, value in params.items()}
        self._moments = [[torch.zeros_like(value) for value in params.values()] for _ in range(2)]
        self.done = torch.zeros((), device=device)
        """Updates made."""
        self.rate = torch.tensor(fit.rate, device=device)
        self.together = torch.zeros((), device=device)
        """1 from when on the bold forecast is trained on everybody."""

        def column(name: str) -> Tensor:
            return torch.tensor([float(getattr(each, name)) for each in variants], device=device)

        self._of = {
            name: column(name) for name in ("augmentation", "action", "all_known", "rate", "decay")
        }
        self._losses = [
            MotionLoss(MotionLossConfig(regret=each.regret, near_weight=each.near), device)
            for each in variants
        ]

    @torch.no_grad()
    def begin_again(self) -> None:
        """Weights as at the beginning."""
        for name, first in self._first.items():
            self.params[name].copy_(first)
            self.average[name].copy_(first)
        for moments in self._moments:
            for moment in moments:
                moment.zero_()
        self.done.zero_()

    def step(self) -> Tensor:
        """One update of all of them; the loss of each."""
        count = len(self.variants)
        batch = self._batches.draw(count, strength=self._of["augmentation"])
        known = torch.maximum(batch.known.unflatten(0, (count, -1)), self._of["all_known"][:, None])
        batch = replace(batch, known=torch.maximum(known, self.together).flatten())
        rows = [
            tuple(
                getattr(batch.inputs, each.name).unflatten(0, (count, -1))
                for each in fields(MotionInputs)
            ),
            tuple(
                getattr(batch, each.name).unflatten(0, (count, -1))
                for each in fields(MotionBatch)
                if each.name != "inputs"
            ),
        ]
        settings = [
            torch.stack([getattr(loss, name) for loss in self._losses])
            for name in ("weights", "regret")
        ]

        def one(params, buffers, inputs, rest, weights, regret, action):
            inputs = MotionInputs(*inputs)
            said = functional_call(
                self.template, (params, buffers), (inputs, self._losses[0].frames)
            )
            loss = self._losses[0].terms(said, MotionBatch(inputs, *rest), weights, regret)
            return sum(value * (action if name == "action" else 1) for name, value in loss.items())

        losses = vmap(one, randomness="different")(
            self.params, self.buffers, *rows, *settings, self._of["action"]
        )
        gradients = torch.autograd.grad(losses.sum(), list(self.params.values()))
        self._descend(gradients)
        return losses.detach()

    @torch.no_grad()
    def _descend(self, gradients: tuple[Tensor, ...]) -> None:
        """AdamW, each network's gradient cut to the same length."""
        fit, params = self._fit, list(self.params.values())
        length = sum(each.flatten(1).square().sum(dim=1) for each in gradients).sqrt()
        factor = (fit.clip_norm / (length + 1e-6)).clamp(max=1)
        self.done += 1
        first, second = self._moments
        corrections = (1 - 0.9**self.done, 1 - 0.999**self.done)
        for gradient, param, mean, square, kept in zip(
            gradients, params, first, second, self.average.values(), strict=True
        ):
            shape = (-1, *[1] * (param.ndim - 1))
            gradient = gradient * factor.view(shape)
            rate = (self.rate * self._of["rate"]).view(shape)
            mean.lerp_(gradient, 0.1)
            square.lerp_(gradient.square(), 0.001)
            change = (mean / corrections[0]) / ((square / corrections[1]).sqrt() + 1e-8)
            param.sub_(rate * (change + self._of["decay"].view(shape) * param))
            # A short memory at first, so that random weights are forgotten.
            keep = torch.minimum(
                (self.done + 1) / (self.done + 10), torch.full_like(self.done, fit.average)
            )
            kept.add_((param - kept) * (1 - keep))

    def validate(
        self, sets: dict[str, MotionWindows], rows: list[int]
    ) -> dict[str, dict[str, np.ndarray]]:
        """Shares of the last pose's error of some variants' averaged weights."""
        self.template.eval()
        found = {}
        for row in rows:
            state = {name: value[row] for name, value in (self.average | self.buffers).items()}
            forecast = partial(self._forecast, state)
            found[self.variants[row].name] = {
                name: shares_of_last_pose(forecast, part, self._device)
                for name, part in sets.items()
            }
        self.template.train()
        return found

    @torch.no_grad()
    def _forecast(self, state: dict[str, Tensor], inputs: MotionInputs, frames: Tensor) -> Tensor:
        seen, turned = (
            functional_call(self.template, state, (each, frames)).moved
            for each in (inputs, inputs.mirrored(state["mirror"]))
        )
        return (seen + flip(turned, state["mirror"])) / 2

    def weights(self, row: int) -> dict[str, Tensor]:
        """Averaged weights of one network, in half precision, as a run keeps them."""
        names = self.template.state_dict()
        stacked = self.average | self.buffers
        return {name: stacked[name][row].detach().half().cpu() for name in names}


def captured(step: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The step as a CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        losses = step()

    def replay() -> Tensor:
        graph.replay()
        return losses

    return replay


def train(folder: Path, out: Path, asked: argparse.Namespace) -> None:
    """All variants, within the time asked for."""
    began = time.monotonic()

    def note(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    device = torch.device(asked.device)
    variants = VARIANTS[: asked.variants]
    fit = Fit(batch_size=asked.batch_size, rate=asked.rate)
    known, held_out, sources = unpack(folder)
    everybody = [track.name for track in known]
    known, held_out = known[:: asked.part], held_out[:: asked.part]
    base = MotionBase.load(folder / BASE_FILE)
    choice = WindowChoice(asked.rounds_clip, asked.rounds_video, slowest=0.75, fastest=1.33)
    note(f"{len(known)} tracks, {len(held_out)} held out, {len(base)} entries")
    windows = choose_windows(known, choice, 0, asked.workers)
    note(f"{len(windows)} windows")
    number = np.array([everybody.index(track.name) for track in known])

    def apart(tracks: np.ndarray) -> np.ndarray:
        return number[tracks][:, None] == sources[None]

    base = base.to(device)
    windows = find_others(windows, base, apart)
    note("neighbours found")
    sets = validation_windows(held_out, base)
    note(f"{sum(map(len, sets.values()))} validation windows")
    actions = tuple(sorted({track.action for track in known} - {""}))
    facts, mix = track_facts(known, actions), MotionMix(together=asked.together)
    settings = (mix, MotionAugmentation(), BatchPlan(fit.batch_size, 1), device)
    batches = MotionBatches(windows, facts, PENN_ACTION.mirror, *settings)
    many = Many(variants, actions, batches, fit, device)
    torch.set_float32_matmul_precision("high")  # not before: distances of neighbours need it all
    torch.manual_seed(0)
    one_step = many.step if asked.eager else captured(many.step)
    note("first steps made")
    out.mkdir(parents=True, exist_ok=True)
    run(Record(many, sets, out), one_step, asked, note, lambda: time.monotonic() - began)


def track_facts(tracks: list[MotionTrack], actions: tuple[str, ...]) -> TrackFacts:
    """As `training.motion` has them by default."""
    from posecast.training.motion_batches import unknown_tracks

    groups = np.unique([track.group for track in tracks], return_inverse=True)[1]
    numbers = [actions.index(track.action) if track.action else -1 for track in tracks]
    preferred = [track.action in PAPER_ACTIONS for track in tracks]
    return TrackFacts(np.array(numbers), groups, unknown_tracks(tracks), np.array(preferred))


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
        rows = [
            row
            for row, variant in enumerate(self.many.variants)
            if everybody or variant.name.split()[0] in DESIGNS
        ]
        found = self.many.validate(self.sets, rows)
        scores = {name: mean_share(each)["validation_ratio"] for name, each in found.items()}
        for design in DESIGNS:
            names = [name for name in scores if name.startswith(f"{design} ")]
            score = float(np.mean([scores[name] for name in names])) if names else np.inf
            if score < self.best:
                self.best = score
                self._keep(names, turn, step)
        shares = {
            variant: {name: row.round(4).tolist() for name, row in each.items()}
            for variant, each in found.items()
        }
        self.looks.append({"turn": turn, "step": step, "seconds": seconds, "shares": shares})
        text = json.dumps({"ahead": AHEAD, "looks": self.looks})
        (self.out / "motion.json").write_text(text)
        return " ".join(f"{name}: {score:.3f}" for name, score in scores.items())

    def _keep(self, names: list[str], turn: int, step: int) -> None:
        """One file of all seeds of a design."""
        rows = {variant.name: row for row, variant in enumerate(self.many.variants)}
        tensors = {
            f"{name.split()[1]}.{key}": value
            for name in names
            for key, value in self.many.weights(rows[name]).items()
        }
        first = self.many.variants[rows[names[0]]]
        config = config_to_dict(first.config(self.many.actions))
        made = {"design": names[0].split()[0], "turn": turn}
        facts = WeightsFacts(
            "motion", config, PENN_ACTION.name, fps=30.0, trained_on=made, step=step
        )
        write_weights(self.out / "seeds.safetensors", tensors, facts)


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
            done = (now - first) / (end - first)
            warm = min(1.0, (step + 1) / 300)
            many.rate.fill_(asked.rate * warm * (1 + np.cos(np.pi * done)) / 2)
            many.together.fill_(float(done >= asked.together))
            for _ in range(asked.at_once):
                one_step()
            step += asked.at_once
            if many.rate.device.type == "cuda":
                torch.cuda.synchronize()
            if clock() >= next_look:
                note(f"turn {turn} step {step}: {record.look(turn, step, clock(), False)}")
                next_look = clock() + asked.every
        note(f"turn {turn} step {step}, all: {record.look(turn, step, clock(), True)}")


def main() -> None:
    """Train what the command line asks for."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("folder", type=Path)
    flags.add_argument("out", type=Path)
    numbers = {
        "seconds": 200.0,
        "spare": 5.0,
        "every": 20.0,
        "rate": 2e-3,
        "together": 0.75,
        "batch_size": 512,
        "rounds_clip": 6,
        "rounds_video": 3,
        "workers": 12,
        "variants": len(VARIANTS),
        "part": 1,
        "at_once": 20,
    }
    for name, value in numbers.items():
        flags.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    flags.add_argument("--device", default="cuda")
    flags.add_argument("--turns", type=float, nargs="+", default=[1.0, 2.5])
    flags.add_argument("--eager", action="store_true")
    asked = flags.parse_args()
    train(asked.folder, asked.out, asked)


if __name__ == "__main__":
    main()
