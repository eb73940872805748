"""What learned weights of the own past's moments are worth, the own past alone.

    python -m benchmarks.motion_moments PACKED OUT.safetensors

PACKED is what `benchmarks.motion_pack` makes. Weights are learned as `posecast train motion` learns
them, and once more for each of four folds of the groups without it; shares of the last pose's error
are printed of the training groups, by folds, and of the groups held out. OUT holds the weights for
`benchmarks.ship_motion --moments`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from benchmarks.markdown import head, row
from benchmarks.motion_pack import unpack
from posecast.motion.basis import HORIZON
from posecast.motion.own_past import own_past
from posecast.motion.seen import RECENT
from posecast.motion.tracks import MotionTrack
from posecast.networks.moment_weights import KNOTS, MomentWeights
from posecast.records.weights import WeightsFacts, write_weights
from posecast.skeletons import PENN_ACTION
from posecast.training.motion_moments import AHEAD, chances, fit_moments, moment_examples, what_came

STEPS, FOLDS = 1500, 4


def learn(
    tracks: Sequence[MotionTrack], seed: int = 0, steps: int = STEPS
) -> tuple[MomentWeights, list[MomentWeights]]:
    """Weights to use, and for each track those that were learned without its group."""
    examples = moment_examples(tracks, seed)
    chance = chances(examples, tracks)
    group = np.unique([track.group for track in tracks], return_inverse=True)[1]
    fold = torch.from_numpy(group % FOLDS)[examples.track]
    nets = [
        fit_moments(examples, chance * (fold != left), seed, steps) for left in range(-1, FOLDS)
    ]
    return nets[0], [nets[1 + number % FOLDS] for number in group.tolist()]


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
    """Learn, write, say what it is worth."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    flags.add_argument("folder", type=Path)
    flags.add_argument("out", type=Path)
    flags.add_argument("--seed", type=int, default=0)
    asked = flags.parse_args()
    known, held_out, _ = unpack(asked.folder)
    in_use, apart = learn(known, asked.seed)
    facts = WeightsFacts("motion", {}, PENN_ACTION.name, fps=30.0, step=STEPS)
    write_weights(asked.out, in_use.state_dict(), facts)
    print(head("share of the last pose's error at k =", *KNOTS))
    for name, tracks, weights in (
        ("training groups, as before", known, [None] * len(known)),
        ("training groups, by folds", known, apart),
        ("held-out groups, as before", held_out, [None] * len(held_out)),
        ("held-out groups", held_out, [in_use] * len(held_out)),
    ):
        print(row(name, *(f"{value:.3f}" for value in shares(tracks, weights))), flush=True)


if __name__ == "__main__":
    main()
