"""Learning what each moment of one's own past counts (`networks.moment_weights`).

Own pasts of all training tracks are continued from their moments, and a network of 3,000 weights
learns to weigh these, before the motion network and apart from it: minutes on one core.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from posecast.motion.basis import HORIZON
from posecast.motion.recall import FEWEST_FRAMES, NUM_MOMENTS, NUM_TURNED, Recalled
from posecast.motion.seen import RECENT, fill_hidden
from posecast.motion.tracks import MotionTrack
from posecast.networks.moment_weights import KNOTS, MomentWeights, Parts, as_batch, moment_facts
from posecast.skeletons import PENN_ACTION, Skeleton
from posecast.training.motion_windows import FARTHEST

_BATCH, _RATE, _DECAY = 64, 3e-3, 1e-2
_SHARES = (0.5, 0.25, 0.25)
"""Of videos seen from their beginning, for a while, and clips."""
_EVERY, _LONGEST = 15, 300
_FEWEST_AHEAD = 2
_LOOKED_AT = 4  # every such example is, for what facts are usual
_MOST = NUM_MOMENTS + NUM_TURNED
AHEAD = np.array(KNOTS)


@dataclass(frozen=True)
class MomentExamples:
    """Own pasts and what came; lengths in sides of the box."""

    skeleton: Skeleton
    facts: Float[Tensor, "n m f"]
    counted: Bool[Tensor, "n m"]
    moved: Float[Tensor, "n m k j 2"]
    truth: Float[Tensor, "n k j 2"]
    shown: Bool[Tensor, "n k j"]
    kind: Int[Tensor, " n"]
    track: Int[Tensor, " n"]

    def error(self, weights: MomentWeights, rows: Int[Tensor, " b"]) -> Float[Tensor, "b k"]:
        """Sum over the joints, as they are weighed."""
        shares = weights.at_knots(self.facts[rows].float(), self.counted[rows])
        return self.far((shares[..., None] * self.moved[rows]).sum(dim=1), rows)

    def far(self, moved: Tensor, rows: Int[Tensor, " b"]) -> Float[Tensor, "b k"]:
        """Sum over the joints of how far they are from the truth."""
        off = (moved - self.truth[rows]).square().sum(dim=-1)
        return ((off + 1e-8).sqrt() * self.shown[rows]).sum(dim=2)


def long_enough(tracks: Sequence[MotionTrack]) -> bool:
    """Whether weights can be learned from these tracks."""
    return any(len(track) >= FEWEST_FRAMES + _EVERY + _FEWEST_AHEAD for track in tracks)


def learn_moments(
    tracks: Sequence[MotionTrack], seed: int, steps: int, skeleton: Skeleton = PENN_ACTION
) -> MomentWeights:
    """Weights to use; some of the tracks have to be `long_enough`."""
    examples = moment_examples(tracks, seed, skeleton)
    return fit_moments(examples, chances(examples, tracks), seed, steps)


def chances(examples: MomentExamples, tracks: Sequence[MotionTrack]) -> Float[Tensor, " n"]:
    """How likely each is drawn: a group of many videos does not drown the others."""
    group = np.unique([track.group for track in tracks], return_inverse=True)[1]
    groups = torch.from_numpy(group)[examples.track]
    chance = 1 / torch.bincount(groups)[groups].float().sqrt()
    for kind, share in enumerate(_SHARES):
        of_kind = examples.kind == kind
        chance[of_kind] *= share / chance[of_kind].sum().clamp(min=1e-9)
    return chance


def fit_moments(
    examples: MomentExamples, chance: Float[Tensor, " n"], seed: int, steps: int
) -> MomentWeights:
    """Least error as a share of the last pose's, times ahead alike."""
    torch.manual_seed(seed)
    network, luck = MomentWeights(examples.skeleton), torch.Generator().manual_seed(seed)
    rows = torch.nonzero(chance > 0)[::_LOOKED_AT, 0]
    facts = examples.facts[rows][examples.counted[rows]].float()
    network.usual.copy_(network.usual_of(facts))
    still = examples.far(torch.zeros(()), torch.arange(len(chance)))
    still = (still * chance[:, None]).sum(dim=0) / chance.sum()
    optimizer = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        batch = torch.multinomial(chance, _BATCH, replacement=True, generator=luck)
        loss = (examples.error(network, batch).mean(dim=0) / still.clamp(min=1e-6)).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return network.eval()


def moment_examples(
    tracks: Sequence[MotionTrack], seed: int, skeleton: Skeleton = PENN_ACTION
) -> MomentExamples:
    """Of clips and videos from their beginning, and of videos for a while."""
    rng, found = np.random.default_rng(seed), []
    for number, track in enumerate(tracks):
        first = FEWEST_FRAMES + int(rng.integers(_EVERY))
        for end in range(first, len(track) - _FEWEST_AHEAD, _EVERY):
            stretches = [(0, 2 if track.is_clip else 0)]
            if not track.is_clip and end % 2:
                seen = int(np.exp(rng.uniform(np.log(FEWEST_FRAMES), np.log(_LONGEST))))
                stretches.append((max(end + 1 - seen, 0), 1))
            for start, kind in stretches:
                about = {"kind": np.array(kind), "track": np.array(number)}
                found.append(_example(track, end, start, skeleton.parts) | about)
    # Popped, as the whole of it would else be held twice.
    columns = {name: np.stack([each.pop(name) for each in found]) for name in list(found[0])}
    tensors = {name: torch.from_numpy(each) for name, each in columns.items()}
    return MomentExamples(skeleton=skeleton, **tensors)


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


def _example(track: MotionTrack, end: int, start: int, parts: Parts) -> dict[str, np.ndarray]:
    past, shown = track.joints_px[start : end + 1], track.visible[start : end + 1]
    last, came, known = what_came(track, start, end)
    found = Recalled.of(past, shown).both_ways()
    facts = moment_facts(*as_batch(found), parts=parts)[0].numpy()
    side = max(track.window_side_px(end, RECENT, HORIZON), float(np.ptp(last, axis=0).max()), 1.0)
    truth = np.clip(came / side, -FARTHEST, FARTHEST)

    def padded(values: np.ndarray) -> np.ndarray:
        return np.pad(values, [(0, _MOST - len(values)), *[(0, 0)] * (values.ndim - 1)])

    return {
        "facts": padded(facts).astype(np.float16),
        "counted": padded(found.counted),
        "moved": padded(found.moved[:, AHEAD - 1] * (found.size_px / side)).astype(np.float16),
        "truth": truth.astype(np.float32),
        "shown": known,
    }
