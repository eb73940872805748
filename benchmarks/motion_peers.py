"""Published pose forecasters, trained on what ours is trained on, beside it.

    python -m benchmarks.motion_peers PACKED STORE TRACKS.npz [--peers NAME ...] [--steps N]
        [--seeds N] [--out FOLDER]

PACKED is what `benchmarks.motion_pack` makes: no test clips, and none of the groups held out.
Windows at the first frames of clips show ten frames; of the others half do, half show all that was
seen. Prints errors as shares of the last pose's, the mean over seeds with half-widths over groups,
and the milliseconds that one forecast takes, of the networks in `benchmarks.peer_networks` and of
the forecaster that ships. No step is chosen: the last one counts. FOLDER keeps weights, which are
not trained again.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from benchmarks.markdown import give_or_take, head, row
from benchmarks.motion_judged import (
    Method,
    Poses,
    Sums,
    Window,
    clip_windows,
    last,
    last_pose,
    of_forecaster,
    shares,
    video_windows,
)
from benchmarks.motion_pack import unpack
from benchmarks.peer_networks import MotionAttention, SiMLPe
from posecast.forecasting.loading import load_pose_forecaster
from posecast.motion.basis import HORIZON
from posecast.motion.seen import RECENT, fill_hidden
from posecast.motion.tracks import MotionTrack
from posecast.pretrained import DEFAULT_FORECASTER
from posecast.skeletons import PENN_ACTION
from posecast.store.reading import Store

KS = (1, 4, 8, 16, 32, 64)
SPEEDS = (0.8, 1.0, 1.25)
FIRST, CLIP = 0.28, 0.3
"""Shares of windows of the first frames of clips, and anywhere in clips; the rest are of videos."""
ROTATION, STRETCH = np.radians(12), 0.12
BATCHES = {SiMLPe: 128, MotionAttention: 48}
RATES = {SiMLPe: 1e-3, MotionAttention: 5e-4}

Peer = SiMLPe | MotionAttention
PEERS: dict[str, type[Peer]] = {"siMLPe": SiMLPe, "motion-attention": MotionAttention}
Moment = tuple[MotionTrack, int, int]
"""A track, the last seen frame, and how many are seen."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows in sizes of the seen body, the mean joint of the last seen pose at 0."""

    past: Float[np.ndarray, "b t 13 2"]
    seen: Int[np.ndarray, " b"]
    future: Float[np.ndarray, "b f 13 2"]
    known: Bool[np.ndarray, "b f 13"]
    size_px: Float[np.ndarray, " b"]

    @classmethod
    def of(cls, moments: Sequence[Moment], longest: int) -> "Batch":
        shape = len(moments), longest + HORIZON, PENN_ACTION.num_joints
        joints, shown = np.zeros((*shape, 2), np.float32), np.zeros(shape, bool)
        seen = np.array([min(count, longest) for _, _, count in moments])
        for n, (track, end, _) in enumerate(moments):
            there = slice(end + 1 - seen[n], min(end + 1 + HORIZON, len(track)))
            put = slice(longest - seen[n], longest - seen[n] + there.stop - there.start)
            joints[n, put], shown[n, put] = track.joints_px[there], track.visible[there]
        past = fill_hidden(joints[:, :longest], shown[:, :longest])[0]
        size = np.ptp(past[:, -RECENT:], axis=2).max(axis=(1, 2)).clip(1)
        joints[:, :longest] = past
        joints -= past[:, -1:].mean(axis=2, keepdims=True)
        joints /= size[:, None, None, None]
        known = shown[:, longest:] & shown[:, :longest].any(axis=1, keepdims=True)
        return cls(joints[:, :longest], seen, joints[:, longest:], known, size)

    def varied(self, rng: np.random.Generator) -> "Batch":
        """Turned, stretched and half of them mirrored."""
        count, joints = len(self.past), PENN_ACTION.num_joints
        angle, mirrored = rng.uniform(-ROTATION, ROTATION, count), rng.random(count) < 0.5
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = turn.transpose(2, 0, 1) * np.exp(rng.normal(0, STRETCH, (count, 1, 2)))
        matrix[mirrored, :, 0] *= -1
        order = np.where(mirrored[:, None], PENN_ACTION.mirror, range(joints))[:, None]
        turned = (
            np.take_along_axis(each @ matrix.mT.astype(np.float32)[:, None], order[..., None], 2)
            for each in (self.past, self.future)
        )
        known = np.take_along_axis(self.known, order, axis=2)
        return replace(self, **dict(zip(("past", "future"), turned, strict=True)), known=known)


class Moments:
    """Drawn at random: a group, then one of its tracks, then when."""

    def __init__(self, tracks: Sequence[MotionTrack], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self._tracks: dict[bool, dict[str, list[MotionTrack]]] = {True: {}, False: {}}
        for track in (track.faster(speed) for track in tracks for speed in SPEEDS):
            if len(track) > RECENT + 1:
                self._tracks[track.is_clip].setdefault(track.group, []).append(track)

    def draw(self) -> Moment:
        kind = self.rng.random()
        groups = list(self._tracks[kind < FIRST + CLIP].values())
        tracks = groups[self.rng.integers(len(groups))]
        track = tracks[self.rng.integers(len(tracks))]
        end = RECENT - 1 if kind < FIRST else int(self.rng.integers(RECENT - 1, len(track) - 1))
        return track, end, RECENT if self.rng.random() < 0.5 else end + 1


def learn(network: Peer, tracks: Sequence[MotionTrack], steps: int, seed: int) -> None:
    """As the papers do: distances of joints, for siMLPe of their movements too."""
    kind, moments = type(network), Moments(tracks, seed)
    optimizer = torch.optim.AdamW(network.parameters(), RATES[kind], weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    network.train()
    for step in range(steps):
        chosen = [moments.draw() for _ in range(BATCHES[kind])]
        batch = Batch.of(chosen, network.past).varied(moments.rng)
        future, known = torch.from_numpy(batch.future), torch.from_numpy(batch.known)
        made = network(torch.from_numpy(batch.past), torch.from_numpy(batch.seen))
        loss = distance(made, future, known)
        if kind is SiMLPe:
            both = known[:, 1:] & known[:, :-1]
            loss = loss + distance(made.diff(dim=1), future.diff(dim=1), both)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"{kind.__name__} {step}/{steps}  loss {loss.item():.4f}", flush=True)


def distance(
    made: Float[Tensor, "b f 13 2"], came: Float[Tensor, "b f 13 2"], known: Bool[Tensor, "b f 13"]
) -> Tensor:
    return ((made - came).norm(dim=-1) * known).sum() / known.sum().clamp(min=1)


def of_peer(network: Peer) -> Method:
    """As it forecasts, one window after the other."""
    network.eval()

    @torch.inference_mode()
    def forecast(windows: Sequence[Window]) -> list[Poses]:
        futures = []
        for each in windows:
            past, shown = each.seen.joints_px, each.seen.visible
            track = MotionTrack("", "", "", past.astype(np.float32), shown)
            batch = Batch.of([(track, len(past) - 1, len(past))], network.past)
            made = network(torch.from_numpy(batch.past), torch.from_numpy(batch.seen))[0].numpy()
            futures.append(last(each) + (made - batch.past[0, -1]) * batch.size_px[0])
        return futures

    return forecast


def trained(
    kind: type[Peer], tracks: Sequence[MotionTrack], steps: int, seed: int, folder: Path
) -> Peer:
    """From the folder if it is there."""
    torch.manual_seed(seed)
    network, path = kind(PENN_ACTION.num_joints), folder / f"{kind.__name__}-{steps}-{seed}.pt"
    if path.exists():
        network.load_state_dict(torch.load(path))
    else:
        learn(network, tracks, steps, seed)
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), path)
    return network


def compare(name: str, windows: Sequence[Window], methods: dict[str, Sequence[Method]]) -> None:
    """Print the table of one set of windows."""
    groups = [each.group for each in windows]
    still = Sums.of(windows, last_pose(windows)).error
    print(f"\n## {name}: {len(windows)} windows\n")
    print(head("", *(f"k = {k}" for k in KS), "ms"))
    for method, seeds in methods.items():
        begun = perf_counter()
        error = np.mean([Sums.of(windows, seed(windows)).error for seed in seeds], axis=0)
        each_ms = 1000 * (perf_counter() - begun) / len(windows) / len(seeds)
        ratio, half = (each[np.array(KS) - 1] for each in shares(error, still, groups))
        print(row(method, *give_or_take(ratio, half, 3), f"{each_ms:.1f}"), flush=True)


def main() -> None:
    """Train, and compare on clips and videos."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    for name in ("packed", "store", "tracks"):
        flags.add_argument(name, type=Path)
    flags.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    flags.add_argument("--steps", type=int, default=4000)
    flags.add_argument("--seeds", type=int, default=2)
    flags.add_argument("--out", type=Path, default=Path("peers"))
    asked = flags.parse_args()
    known = unpack(asked.packed).known
    methods: dict[str, Sequence[Method]] = {
        name: [
            of_peer(trained(PEERS[name], known, asked.steps, seed, asked.out))
            for seed in range(asked.seeds)
        ]
        for name in asked.peers
    }
    methods[DEFAULT_FORECASTER] = [of_forecaster(load_pose_forecaster(DEFAULT_FORECASTER))]
    compare("clips", clip_windows(Store.open(asked.store), final=False), methods)
    for name, seen in (("videos, all seen", None), ("videos, ten seen", RECENT)):
        compare(name, video_windows(asked.tracks, seen), methods)


if __name__ == "__main__":
    main()
