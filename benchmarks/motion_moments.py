"""Learn what each moment of one's own past counts (`networks.moment_weights`).

    python -m benchmarks.motion_moments PACKED OUT.safetensors

PACKED is what `benchmarks.motion_pack` makes. Own pasts of all training tracks are continued from
their moments, and a network of 2,000 weights learns to weigh these: minutes on one core.
`benchmarks.ship_motion --moments` puts it into the network that ships. What it is worth on groups
that it does not know is printed first: folds of the training groups, then those held out.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from benchmarks.motion_pack import unpack
from posecast.motion.basis import HORIZON
from posecast.motion.own_past import FEWEST_FRAMES, NUM_MOMENTS, own_past
from posecast.motion.seen import RECENT, fill_hidden
from posecast.motion.tracks import MotionTrack
from posecast.networks.moment_weights import KNOTS, MomentWeights, moment_facts
from posecast.records.weights import WeightsFacts, write_weights
from posecast.skeletons import PENN_ACTION

STEPS, BATCH, RATE, DECAY = 1500, 64, 3e-3, 1e-2
FOLDS = 4
SHARES = (0.5, 0.25, 0.25)
"""Of videos seen from their beginning, for a while, and clips."""
EVERY, LONGEST = 15, 300
FARTHEST = 30.0  # boxes; beyond lie errors of estimators
AHEAD = np.array(KNOTS)
Moments = tuple[MomentWeights, list[MomentWeights]]


@dataclass(frozen=True)
class Examples:
    """Lengths in sides of the box."""

    facts: Float[Tensor, "n m f"]
    counted: Bool[Tensor, "n m"]
    moved: Float[Tensor, "n m k j 2"]
    truth: Float[Tensor, "n k j 2"]
    shown: Bool[Tensor, "n k j"]
    kind: Int[Tensor, " n"]
    track: Int[Tensor, " n"]

    def error(self, weights: MomentWeights, rows: Int[Tensor, " b"]) -> Float[Tensor, "b k"]:
        shares = weights.at_knots(self.facts[rows].float(), self.counted[rows])
        moved = torch.einsum("bmk,bmkjc->bkjc", shares, self.moved[rows].float())
        return self.far(moved, rows)

    def far(self, moved: Tensor, rows: Int[Tensor, " b"]) -> Float[Tensor, "b k"]:
        """Sum over the joints of how far they are from the truth."""
        off = (moved - self.truth[rows]).square().sum(dim=-1)
        return ((off + 1e-8).sqrt() * self.shown[rows]).sum(dim=2)


def learn(tracks: Sequence[MotionTrack], seed: int = 0, steps: int = STEPS) -> Moments:
    """Weights to use, and for each track those that were learned without its group."""
    examples = examples_of(tracks, np.random.default_rng(seed))
    group = np.unique([track.group for track in tracks], return_inverse=True)[1]
    chance = chances(examples, group)
    fold = torch.from_numpy(group % FOLDS)[examples.track]
    nets = [fit(examples, chance * (fold != left), seed, steps) for left in range(-1, FOLDS)]
    return nets[0], [nets[1 + number % FOLDS] for number in group.tolist()]


def chances(examples: Examples, group: Int[np.ndarray, " tracks"]) -> Float[Tensor, " n"]:
    """A group of many videos does not drown the others."""
    groups = torch.from_numpy(group)[examples.track]
    chance = 1 / torch.bincount(groups)[groups].float().sqrt()
    for kind, share in enumerate(SHARES):
        of_kind = examples.kind == kind
        chance[of_kind] *= share / chance[of_kind].sum().clamp(min=1e-9)
    return chance


def fit(examples: Examples, chance: Float[Tensor, " n"], seed: int, steps: int) -> MomentWeights:
    """Least error as a share of the last pose's, times ahead alike."""
    torch.manual_seed(seed)
    network, luck = MomentWeights(), torch.Generator().manual_seed(seed)
    rows = chance > 0
    facts = examples.facts[rows][examples.counted[rows]].float()
    network.usual.copy_(torch.stack([facts.mean(dim=0), facts.std(dim=0) + 1e-6]))
    still = examples.far(torch.zeros(()), torch.arange(len(chance)))
    still = (still * chance[:, None]).sum(dim=0) / chance.sum()
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        batch = torch.multinomial(chance, BATCH, replacement=True, generator=luck)
        loss = (examples.error(network, batch).mean(dim=0) / still).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return network.eval()


def examples_of(tracks: Sequence[MotionTrack], rng: np.random.Generator) -> Examples:
    """Of clips and videos from their beginning, and of videos for a while."""
    found = []
    for number, track in enumerate(tracks):
        first = FEWEST_FRAMES + int(rng.integers(EVERY))
        for end in range(first, len(track) - 2, EVERY):
            found.append(example(track, end, 0, 2 if track.is_clip else 0, number))
            if not track.is_clip and end % 2:
                seen = int(np.exp(rng.uniform(np.log(FEWEST_FRAMES), np.log(LONGEST))))
                found.append(example(track, end, max(end + 1 - seen, 0), 1, number))
    stacked = {
        each.name: torch.from_numpy(np.stack([one[each.name] for one in found]))
        for each in fields(Examples)
    }
    return Examples(**stacked)


def what_came(
    track: MotionTrack, start: int, end: int
) -> tuple[Float[np.ndarray, "j 2"], Float[np.ndarray, "k j 2"], Bool[np.ndarray, "k j"]]:
    """The last pose of a stretch, how far from it the joints were `AHEAD`, in pixels, and where
    that is known."""
    past, shown = track.joints_px[start : end + 1], track.visible[start : end + 1]
    last = fill_hidden(past[None], shown[None])[0][0, -1]
    frames = end + AHEAD
    inside = np.minimum(frames, len(track) - 1)
    known = track.visible[inside] & (frames < len(track))[:, None] & shown.any(axis=0)
    return last, track.joints_px[inside] - last, known


def example(
    track: MotionTrack, end: int, start: int, kind: int, number: int
) -> dict[str, np.ndarray]:
    past, shown = track.joints_px[start : end + 1], track.visible[start : end + 1]
    last, came, known = what_came(track, start, end)
    asked: list[tuple[np.ndarray, ...]] = []

    def listen(*about: np.ndarray) -> np.ndarray:
        asked.append(about)
        return np.zeros((len(about[1]), HORIZON), np.float32)

    own = own_past(past, shown, weigh=listen)
    facts = moment_facts(*(torch.from_numpy(each)[None] for each in asked[0]))[0].numpy()
    side = max(track.window_side_px(end, RECENT, HORIZON), float(np.ptp(last, axis=0).max()), 1.0)
    truth = np.clip(came / side, -FARTHEST, FARTHEST)

    def padded(values: np.ndarray) -> np.ndarray:
        lacking = np.zeros((NUM_MOMENTS - len(values), *values.shape[1:]), values.dtype)
        return np.concatenate([values, lacking])

    weighed = len(own.moved_px)
    return {
        "facts": padded(facts[:weighed]).astype(np.float16),
        "counted": np.arange(NUM_MOMENTS) < weighed,
        "moved": padded(own.moved_px[:, AHEAD - 1] / side).astype(np.float16),
        "truth": truth.astype(np.float32),
        "shown": known,
        "kind": np.array(kind),
        "track": np.array(number),
    }


def shares(
    tracks: Sequence[MotionTrack], weights: Sequence[MomentWeights | None]
) -> Float[np.ndarray, " k"]:
    """Error of the own past as a share of the last pose's; every second of videos, all seen."""
    mine, still = np.zeros(len(AHEAD)), np.zeros(len(AHEAD))
    for track, each in zip(tracks, weights, strict=True):
        for end in range(59, len(track) - 1, 30) if not track.is_clip else ():
            past, shown = track.joints_px[: end + 1], track.visible[: end + 1]
            _, came, known = what_came(track, 0, end)
            moved = own_past(past, shown, weigh=each and each.of_one).likely_px[AHEAD - 1]
            side = max(track.window_side_px(end, RECENT, HORIZON), 1.0)
            mine += (np.linalg.norm(moved - came, axis=-1) * known).sum(axis=1) / side
            still += (np.linalg.norm(came, axis=-1) * known).sum(axis=1) / side
    return mine / still


def main() -> None:
    """Learn, say what it is worth, write."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("folder", type=Path)
    flags.add_argument("out", type=Path)
    flags.add_argument("--seed", type=int, default=0)
    asked = flags.parse_args()
    known, held_out, _ = unpack(asked.folder)
    in_use, apart = learn(known, asked.seed)
    print(f"| share of the last pose's error at k = | {' | '.join(map(str, KNOTS))} |")
    for name, tracks, weights in (
        ("training groups, as before", known, [None] * len(known)),
        ("training groups, by folds", known, apart),
        ("held-out groups, as before", held_out, [None] * len(held_out)),
        ("held-out groups", held_out, [in_use] * len(held_out)),
    ):
        row = " | ".join(f"{value:.3f}" for value in shares(tracks, weights))
        print(f"| {name} | {row} |", flush=True)
    facts = WeightsFacts("motion", {}, PENN_ACTION.name, fps=30.0, step=STEPS)
    write_weights(asked.out, in_use.state_dict(), facts)


if __name__ == "__main__":
    main()
