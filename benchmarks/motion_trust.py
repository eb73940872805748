"""How far a forecast is trusted, learned of everybody from networks that do not know them.

    python -m benchmarks.motion_trust PACKED WEIGHTS OUT.safetensors

PACKED is what `benchmarks.motion_pack` makes. Every group of people is of one of four folds, and
for each fold a network is trained without it; what the four say of the people whom they do not know
is all that trust is learned of. A training alone keeps a quarter of the groups and a seventh of the
clips for that. WEIGHTS (a run, or what ships) weigh the moments of the own past.
OUT holds the head for `benchmarks.ship_motion --trust`. Half an hour on one core.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks.motion_mixing import far
from benchmarks.motion_pack import unpack
from posecast.motion.neighbours import BASE_FILE, MotionBase
from posecast.motion.tracks import MotionTrack
from posecast.networks.kinds import load_network
from posecast.networks.motion_parts import how_far, trust_head
from posecast.networks.motion_residual import MotionMember, MotionResidual
from posecast.networks.motion_values import trusted
from posecast.presets import MOTION
from posecast.records.weights import WeightsFacts, write_weights
from posecast.skeletons import PENN_ACTION
from posecast.training.motion_batches import MotionBatches, TrackFacts
from posecast.training.motion_loss import MotionLoss
from posecast.training.motion_validation import window_inputs
from posecast.training.motion_windows import (
    FRAMES,
    KIND_VIDEO,
    MotionWindows,
    choose_windows,
    find_others,
)
from posecast.training.settings import FitConfig

CONFIG = MOTION["penn-action-best"]
FOLDS, STEPS = 4, 3000
HEAD_STEPS, BATCH, RATE, DECAY = 3000, 512, 2e-3, 0.1
REGRET = 0.25
"""Of videos; half as much as where trust is learned beside the network, chosen of the two."""


@dataclass(frozen=True, eq=False)
class Strangers:
    """What networks say of windows of people whom they do not know."""

    read: Float[Tensor, "n f"]
    """What trust reads; its last column is whether the clip is cut to one action."""
    cautious: Float[Tensor, "n t j 2"]
    bold: Float[Tensor, "n t j 2"]


def fold_of(tracks: Sequence[MotionTrack]) -> Int[np.ndarray, " tracks"]:
    """The fold of each track; videos of one group are of one fold."""
    is_clip = np.array([track.is_clip for track in tracks])
    videos = sorted({track.group for track in tracks if not track.is_clip})
    groups = {group: number for number, group in enumerate(videos)}
    numbers = [groups.get(track.group, 0) for track in tracks]
    return np.where(is_clip, np.cumsum(is_clip) - 1, numbers) % FOLDS


def batches_of(
    tracks: Sequence[MotionTrack],
    windows: MotionWindows,
    unknown: Bool[np.ndarray, " tracks"],
    plan: FitConfig,
) -> MotionBatches:
    """Batches without these people."""
    facts = TrackFacts.of(tracks, actions_of(tracks), CONFIG.preferred_actions)
    facts = replace(facts, unknown=unknown)
    mix = replace(CONFIG.mix, unknown=0.0, together=1.0)
    return MotionBatches(windows, facts, PENN_ACTION.mirror, mix, CONFIG.augmentation, plan)


def actions_of(tracks: Sequence[MotionTrack]) -> tuple[str, ...]:
    """All actions, sorted."""
    return tuple(sorted({track.action for track in tracks} - {""}))


def train(batches: MotionBatches, actions: tuple[str, ...], plan: FitConfig) -> MotionResidual:
    """A network as the preset has it, its weights averaged over the last steps."""
    fit, measure = CONFIG.fit, MotionLoss(CONFIG.loss)
    torch.manual_seed(plan.seed)
    network = MotionResidual(replace(CONFIG.model, actions=actions, learned_moments=False))
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(fit.average))
    optimizer = torch.optim.AdamW(
        network.parameters(), fit.learning_rate, weight_decay=fit.weight_decay
    )
    schedule = CosineAnnealingLR(optimizer, plan.steps)
    for number in range(plan.steps):
        with torch.autocast("cpu", torch.bfloat16):
            batch = batches(number)
            loss, _ = measure(network(batch.inputs, measure.frames), batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), fit.clip_norm)
        optimizer.step()
        schedule.step()
        averaged.update_parameters(network)
    return cast(MotionResidual, averaged.module).eval()


@torch.inference_mode()
def said_of(network: MotionResidual, windows: MotionWindows) -> Strangers:
    """What the network says of windows."""
    member, read = cast(MotionMember, network.members[0]), []
    frames, parts = torch.tensor(FRAMES), []
    hook = member.trust.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    for first in range(0, len(windows), 4096):
        said = network(window_inputs(windows.take(np.s_[first : first + 4096])), frames)
        parts.append((said.cautious.half(), said.bold.half()))
    hook.remove()
    return Strangers(torch.cat(read), *(torch.cat(part) for part in zip(*parts, strict=True)))


def of_strangers(tracks: Sequence[MotionTrack], windows: MotionWindows, steps: int) -> Strangers:
    """What is said of each window by the network that was trained without its people."""
    fold, rows, parts = fold_of(tracks), [], []
    for left_out in range(FOLDS):
        plan = FitConfig(steps, CONFIG.fit.batch_size, seed=left_out)
        unknown = fold == left_out
        network = train(batches_of(tracks, windows, unknown, plan), actions_of(tracks), plan)
        rows.append(np.flatnonzero(unknown[windows.track]))
        parts.append(said_of(network, windows.take(rows[-1])))
        print(f"fold {left_out}: {len(rows[-1])} windows", flush=True)
    back = torch.from_numpy(np.concatenate(rows).argsort())
    values = ([getattr(part, name) for part in parts] for name in Strangers.__dataclass_fields__)
    return Strangers(*(torch.cat(value)[back] for value in values))


def learn_trust(
    tracks: Sequence[MotionTrack], windows: MotionWindows, said: Strangers, steps: int = HEAD_STEPS
) -> nn.Sequential:
    """The head that errs least, videos where the last pose would have been nearer regretted."""
    plan = FitConfig(steps, BATCH)
    batches = batches_of(tracks, windows, np.zeros(len(tracks), bool), plan)
    torch.manual_seed(plan.seed)
    head, luck = trust_head(reads_trimmed=True), torch.Generator().manual_seed(plan.seed)
    knots = MotionResidual(CONFIG.model).members[0].get_buffer("knots")[:, torch.tensor(FRAMES)]
    future, weights = torch.from_numpy(windows.future), MotionLoss(CONFIG.loss).weights
    unit = torch.from_numpy(windows.scale.clip(max=1)[:, None, None] * windows.future_visible)
    regret = torch.from_numpy(np.where(windows.kind == KIND_VIDEO, REGRET, 0.0)).float()
    optimizer = torch.optim.AdamW(head.parameters(), RATE, weight_decay=DECAY)
    schedule = CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        rows, _ = batches.choose(1, luck)
        read = said.read[rows]
        read[:, -1] *= torch.rand(len(rows), generator=luck) >= CONFIG.augmentation.untold
        trust, going = how_far(head(read), knots, torch.ones(()))
        cautious, bold = said.cautious[rows].float(), said.bold[rows].float()
        moved = trusted(cautious, bold, trust, going)
        came, size = future[rows].float(), unit[rows].float()
        error, still = (far(each, size) for each in (moved - came, came))
        error = error + regret[rows, None, None] * (error - still).clamp(min=0)
        loss = (error * weights[:, None]).sum() / (size > 0).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return head


def main() -> None:
    """Train the networks, learn the head, write it."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    for name in ("folder", "weights", "out"):
        flags.add_argument(name, type=Path)
    flags.add_argument("--steps", type=int, default=STEPS, help="of each network")
    asked = flags.parse_args()
    packed = unpack(asked.folder)
    known = packed.known
    moments = load_network(asked.weights, MotionResidual).network.moments
    weigh = None if moments is None else moments.of_one
    base = MotionBase.load(asked.folder / BASE_FILE)
    windows = choose_windows(known, CONFIG.windows, 0, weigh=weigh)
    windows = find_others(windows, base, packed.apart(known))
    print(f"{len(windows)} windows", flush=True)
    head = learn_trust(known, windows, of_strangers(known, windows, asked.steps))
    facts = WeightsFacts("motion", {}, PENN_ACTION.name, fps=30.0, step=HEAD_STEPS)
    write_weights(asked.out, head.state_dict(), facts)


if __name__ == "__main__":
    main()
