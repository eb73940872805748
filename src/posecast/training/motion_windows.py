"""Tracks of poses to training windows of the motion network, with both guesses beside them.

The guesses take longer to find than a step of training, so a fixed set of windows is made once.
A window never sees the future, nor, through the database of motion, its own track or its group.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from posecast.motion.basis import HORIZON, to_cosines
from posecast.motion.neighbours import MotionBase
from posecast.motion.own_past import Weigh, own_past
from posecast.motion.seen import RECENT, SeenMotion, SeenShape, fill_hidden, joined, see
from posecast.motion.tracks import MotionTrack, as_told
from posecast.store.reading import StoredClip

FRAMES = tuple(
    ahead - 1
    for ahead in (*range(1, 9), 10, 12, 14, 16, 18, 21, 24, 27, 30, 33, 37, 41, 46, 51, 57, 64)
)
"""Future frames that training looks at, dense at first."""

FARTHEST = 30.0  # body sizes; beyond lie errors of estimators
_FEWEST_AHEAD = 2
_CHUNK, _EVERY_VIDEO = 512, 12

KIND_FIRST, KIND_CLIP, KIND_VIDEO = 0, 1, 2
"""The first frames of a clip, any others of it, frames of a video."""


@dataclass(frozen=True)
class MotionWindows(SeenShape):
    """Many windows; half precision where there is much."""

    trimmed: Float[np.ndarray, " n"]
    own: Float[np.ndarray, "n m j 2"]
    own_best: Float[np.ndarray, "n m j 2"]
    own_facts: Float[np.ndarray, "n 23"]
    others: Float[np.ndarray, "n m j 2"]
    others_facts: Float[np.ndarray, "n 4"]
    future: Float[np.ndarray, "n f j 2"]
    """True displacements from the last seen pose at `FRAMES`."""
    future_visible: Bool[np.ndarray, "n f j"]
    scale: Float[np.ndarray, " n"]
    """Size of the seen body as a share of the box that errors are divided by."""
    kind: Int[np.ndarray, " n"]
    track: Int[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.pose)

    def take(self, rows: Int[np.ndarray, " k"] | Bool[np.ndarray, " n"] | slice) -> "MotionWindows":
        return MotionWindows(**{name: value[rows] for name, value in vars(self).items()})


def cut_windows(
    track: MotionTrack,
    number: int,
    ends: Int[np.ndarray, " n"],
    starts: Int[np.ndarray, " n"],
    kinds: Int[np.ndarray, " n"],
    weigh: Weigh | None = None,
) -> MotionWindows:
    """Windows that see the frames `starts` to `ends` of a track; `others` is left empty."""
    places = zip(ends.tolist(), starts.tolist(), kinds.tolist(), strict=True)
    return joined([_window(track, number, *place, weigh) for place in places])


def _window(
    track: MotionTrack, number: int, end: int, start: int, kind: int, weigh: Weigh | None
) -> MotionWindows:
    past, shown = track.joints_px[start : end + 1], track.visible[start : end + 1]
    seen = see(past[None], shown[None])
    size, last = seen.size_px[0], seen.last_px[0]
    own = own_past(past, shown, weigh=weigh)
    frames = end + 1 + np.array(FRAMES)
    inside = np.minimum(frames, len(track) - 1)
    future = (track.joints_px[inside] - last) / size
    future_visible = track.visible[inside] & (frames < len(track))[:, None] & ~seen.never
    side = max(track.window_side_px(end, RECENT, HORIZON), float(size))
    return MotionWindows(
        **{each.name: getattr(seen, each.name) for each in fields(SeenShape)},
        trimmed=np.array([as_told(track.trimmed)], np.float32),
        own=_half(to_cosines(own.likely_px / size))[None],
        own_best=_half(to_cosines(own.best_px / size))[None],
        own_facts=own.facts[None],
        others=np.zeros((1, *to_cosines(own.mean_px).shape), np.float16),
        others_facts=np.zeros((1, 4), np.float32),
        future=_half(future)[None],
        future_visible=future_visible[None],
        scale=np.array([size / side], np.float32),
        kind=np.array([kind]),
        track=np.array([number]),
    )


Apart = Callable[[Int[np.ndarray, " b"]], Bool[np.ndarray, "b n"]]
"""Which entries of a database windows of some tracks may not see."""


def _half(lengths: Float[np.ndarray, "*n j 2"]) -> Float[np.ndarray, "*n j 2"]:
    return np.clip(lengths, -FARTHEST, FARTHEST).astype(np.float16)


def build_base(
    tracks: Sequence[MotionTrack], mirror: Sequence[int], facts: dict[str, str], every_clip: int = 3
) -> tuple[MotionBase, Int[np.ndarray, " n"]]:
    """A database of every n-th moment of the tracks, and the track that each entry is from."""
    seen, futures, sources = [], [], []
    for number, track in enumerate(tracks):
        step, ahead = (every_clip, 10) if track.is_clip else (_EVERY_VIDEO, HORIZON)
        for end in range(RECENT - 1, len(track) - ahead, step):
            frames = slice(end + 1 - RECENT, end + 1)
            each = see(track.joints_px[None, frames], track.visible[None, frames])
            future = _held_future(track, end, each)
            if each.never.mean() < 0.3 and future is not None:
                seen.append(each)
                futures.append(to_cosines(future))
                sources.append(number)
    base = MotionBase.build(joined(seen), np.stack(futures), mirror, facts)
    return base, np.array(sources)


def _held_future(
    track: MotionTrack, end: int, seen: SeenMotion
) -> Float[np.ndarray, "t j 2"] | None:
    """What followed, hidden joints where they were last; None where nearly nothing is known."""
    ahead = slice(end + 1, end + 1 + HORIZON)
    joints, shown = track.joints_px[ahead], track.visible[ahead]
    if shown.sum() < 0.1 * HORIZON * shown.shape[1]:
        return None
    joints = np.concatenate([seen.last_px, joints, np.repeat(joints[-1:], HORIZON, axis=0)])
    shown = np.concatenate(
        [np.ones_like(shown[:1]), shown, np.zeros((HORIZON, shown.shape[1]), bool)]
    )
    held = fill_hidden(joints[None], shown[None])[0][0, 1 : HORIZON + 1]
    moved = (held - seen.last_px[0]) / seen.size_px[0]
    return np.clip(moved, -8, 8).astype(np.float32)


def find_others(windows: MotionWindows, base: MotionBase, apart: Apart | None) -> MotionWindows:
    """The windows with what their neighbours did."""
    cosines, facts = [], []
    for first in range(0, len(windows), _CHUNK):
        part = windows.take(np.s_[first : first + _CHUNK])
        found = base.find(part, None if apart is None else apart(part.track))
        cosines.append(found.mean.astype(np.float16))
        facts.append(found.facts)
    return replace(windows, others=np.concatenate(cosines), others_facts=np.concatenate(facts))


def clip_track(clip: StoredClip) -> MotionTrack:
    """A stored clip as a track."""
    return MotionTrack.at_rate(
        clip.clip_id,
        clip.joints_px,
        clip.visible,
        clip.fps,
        action=clip.action,
        box_side_px=clip.box_side_px,
        is_clip=True,
        trimmed=clip.trimmed,
    )


@dataclass(frozen=True)
class WindowChoice:
    """How many windows are made of a track."""

    rounds_clip: int = 3
    """Speeds of a clip: its own, then random ones."""
    rounds_video: int = 2
    """Speeds of a video."""
    first: int = 4
    """Windows of a clip's first frames, a round."""
    others: int = 12
    """Windows anywhere in a clip, a round."""
    whole: float = 0.5
    """Share of these that see all that was before."""
    every: int = 6
    """Frames from one window of a video to the next."""
    slowest: float = 0.8
    fastest: float = 1.25


def choose_windows(
    tracks: Sequence[MotionTrack],
    choice: WindowChoice,
    seed: int,
    workers: int = 0,
    weigh: Weigh | None = None,
) -> MotionWindows:
    """Windows of all tracks at several speeds; `others` is left empty."""
    work = partial(_windows_of, choice, seed, weigh)
    if workers:
        one_thread = (torch.set_num_threads, (1,))  # each has a core
        with multiprocessing.get_context("spawn").Pool(workers, *one_thread) as pool:
            parts = pool.map(work, list(enumerate(tracks)), chunksize=4)
    else:
        parts = [work(each) for each in enumerate(tracks)]
    return joined([part for part in parts if part is not None])


def _windows_of(
    choice: WindowChoice, seed: int, weigh: Weigh | None, numbered: tuple[int, MotionTrack]
) -> MotionWindows | None:
    number, track = numbered
    rng = np.random.default_rng([seed, number])
    parts = []
    for turn in range(choice.rounds_clip if track.is_clip else choice.rounds_video):
        limits = np.log([choice.slowest, choice.fastest])
        again = track.faster(float(np.exp(rng.uniform(*limits)))) if turn else track
        places = _places_in_clip if track.is_clip else _places_in_video
        ends, starts, kinds = places(len(again), choice, rng)
        fits = ends < len(again) - 1
        if fits.any():
            parts.append(cut_windows(again, number, ends[fits], starts[fits], kinds[fits], weigh))
    return joined(parts) if parts else None


Places = tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]


def _places_in_clip(length: int, choice: WindowChoice, rng: np.random.Generator) -> Places:
    """The first ten frames or nearly, and any frames after few or all of those before."""
    later = rng.integers(0, 4, choice.first)
    later[0] = 0
    from_start = rng.random(choice.first) < 0.5
    usable = max(length - _FEWEST_AHEAD, 1)
    ends = rng.choice(usable, min(choice.others, usable), replace=False)
    seen = rng.choice([1, 2, 4, 7, 10, 10, 10, 16, 26], len(ends))
    starts = np.where(rng.random(len(ends)) < choice.whole, 0, np.maximum(ends + 1 - seen, 0))
    first = (RECENT - 1 + later, np.where(from_start, 0, later), np.full(choice.first, KIND_FIRST))
    anywhere = (ends, starts, np.full(len(ends), KIND_CLIP))
    ends, starts, kinds = map(np.concatenate, zip(first, anywhere, strict=True))
    return ends, starts, kinds


def _places_in_video(length: int, choice: WindowChoice, rng: np.random.Generator) -> Places:
    """Moments all over it, after ten frames, some more, or all that was before."""
    ends = np.arange(4 + rng.integers(0, choice.every), length - 4, choice.every)
    some = np.exp(rng.uniform(np.log(3), np.log(300), len(ends))).astype(int)
    luck = rng.random(len(ends))
    seen = np.where(luck < 0.35, RECENT, np.where(luck < 0.8, length, some))
    return ends, np.maximum(ends + 1 - seen, 0), np.full(len(ends), KIND_VIDEO)
