"""Stored clips to samples of the carrying networks: the layers of a future frame, and that frame.

A sample is a pure function of (seed, number). Each window is turned, zoomed and moved as a whole
before anything is carried, so that few clips make many samples.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8

from posecast.carrying.body_parts import body_size
from posecast.carrying.layers import COARSE, CarriedPerson, Layers
from posecast.carrying.smoothing import without_gaps
from posecast.geometry import Crop
from posecast.motion.seen import joined
from posecast.networks.carrying import PersonMask, person_masks
from posecast.store.reading import StoredClip
from posecast.training.groups import ClipPool

DISTANCE_STEPS = 50
"""A distance in radii is stored times this, in a byte."""
FEWEST_JOINTS = 6
"""Visible ones, fewer than which are too little of a person."""
_FARTHEST = 5.0


@dataclass(frozen=True)
class WindowConfig:
    """What samples are made of."""

    targets: int = 10
    """Future frames of each window: pairs of neighbours."""
    most_ahead: int = 40
    """Farthest future frame; near ones are likelier, evenly in logarithm."""
    most_seen: int = 24
    """Seen frames of every fourth window, of which ten are looked at; the others see ten."""
    disturbed: float = 0.5
    """Share of the windows whose future poses are off, as forecast ones are."""
    zoom: float = 0.25
    """Largest logarithm of the zoom."""
    turn_degrees: float = 10.0
    """Largest turn in the image."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of one window or of many, as bytes; neighbouring targets one after the other."""

    pictures: UInt8[np.ndarray, "n s s 15"]
    """The layers of `LayerBatch` and the true frame, channels one after the other."""
    shares: UInt8[np.ndarray, "n s s 4"]
    marks: UInt8[np.ndarray, "n s s 3"]
    """Distance to the body (`DISTANCE_STEPS`), holes of the plate, what the video shows."""
    joints: Float[np.ndarray, "n j 2"]
    """Wanted poses as shares of the picture."""
    visible: Bool[np.ndarray, "n j"]
    size: Float[np.ndarray, " n"]
    """Of the body, as a share of the picture."""


@dataclass(frozen=True, eq=False)
class SampleMaker:
    """Number -> samples of one window. Can be pickled."""

    source: ClipPool
    mask: PersonMask | None
    """On the CPU."""
    config: WindowConfig
    seed: int

    def __call__(self, number: int) -> Samples:
        """As many as the configuration's `targets`, of one window or of some pairs of photos."""
        made: list[Samples] = []
        for attempt in range(100):
            rng = np.random.default_rng([self.seed, number, attempt])
            clip = self.source.drawn(rng)
            samples = self.window(clip, *self._times(clip, rng), rng)
            if samples is not None:
                made.append(samples)
            if sum(len(each.size) for each in made) >= self.config.targets:
                values = vars(joined(made)).items()
                return Samples(**{name: each[: self.config.targets] for name, each in values})
        raise RuntimeError(f"no usable window in 100 draws from {len(self.source.clips)} clips")

    def _times(
        self, clip: StoredClip, rng: np.random.Generator
    ) -> tuple[Int[np.ndarray, " p"], Int[np.ndarray, " f"]]:
        """Numbers of the seen and of the wanted frames."""
        wanted = self.config.targets
        if clip.num_frames < 4:  # two photos of one person
            pair = rng.permutation(clip.num_frames)[:2]
            return pair[:1], np.repeat(pair[1:], 2)
        longest = max(clip.num_frames - wanted - 2, 1)
        seen = min(int(rng.choice([10, 10, 10, self.config.most_seen])), longest)
        start = int(rng.integers(0, max(clip.num_frames - seen - wanted, 1)))
        last = start + seen - 1
        room = min(clip.num_frames - 1 - last, self.config.most_ahead)
        pairs = wanted // 2
        evenly = (np.arange(pairs) + rng.random(pairs)) / pairs
        ahead = np.exp(evenly * np.log(max(room, 1))).astype(int)
        ahead = np.minimum(np.stack([ahead, ahead + 1], axis=1).ravel(), room)
        looked_at = np.linspace(start, last, min(seen, 10)).round().astype(int)
        return looked_at, last + ahead

    def window(
        self,
        clip: StoredClip,
        past: Int[np.ndarray, " p"],
        wanted: Int[np.ndarray, " f"],
        rng: np.random.Generator | None,
    ) -> Samples | None:
        """Samples of wanted frames after seen ones; varied unless `rng` is None.

        None where too little of the person is seen.
        """
        numbers = np.concatenate([past, wanted])
        if clip.visible[numbers].sum(axis=1).min() < FEWEST_JOINTS:
            return None
        between = np.arange(past[-1] + 1, wanted.max() + 1)
        span = between if len(between) else np.unique(wanted)
        view, store = View.around(clip, numbers), self.source.store
        if rng is not None:
            view = view.varied(self.config.zoom, self.config.turn_degrees, rng)
        frames = view.cut(clip.crop, store.read_frames(clip, numbers))
        known, coming = view.place(clip, past), view.place(clip, span)
        size = body_size(*known, store.skeleton)
        if size < 1:
            return None
        if rng is not None and rng.random() < self.config.disturbed:
            coming = disturbed(*coming, size, rng)
        poses = np.concatenate([known[0], coming[0]]), np.concatenate([known[1], coming[1]])
        joints, visible = without_gaps(*poses, store.skeleton)
        seen_joints, seen = joints[: len(past)], visible[: len(past)] & known[1].any(axis=0)
        size = body_size(seen_joints, seen, store.skeleton)  # as where frames are drawn
        pictures = frames[: len(past)]
        masks = self._masks(pictures, seen_joints, seen)
        person = CarriedPerson(pictures, joints, visible, store.skeleton, masks)
        places = np.searchsorted(span, wanted)
        layers = [person.layers(place) for place in places.tolist()]
        shown = (joints[len(past) + places] / COARSE, visible[len(past) + places])
        return _as_bytes(layers, frames[len(past) :], view.inside(clip), *shown, size / COARSE)

    def _masks(
        self,
        frames: UInt8[np.ndarray, "t s s 3"],
        joints: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
    ) -> Float[np.ndarray, "t c c"] | None:
        if self.mask is None:
            return None
        poses = (joints / COARSE, visible, self.source.store.skeleton)
        with torch.autocast("cpu", torch.bfloat16):
            return person_masks(self.mask, frames, *poses)


@dataclass(frozen=True, eq=False)
class MixedMaker:
    """Number -> samples from one of several stores."""

    makers: tuple[SampleMaker, ...]
    shares: tuple[float, ...]
    """How often each is asked; they sum to 1."""
    seed: int

    def __call__(self, number: int) -> Samples:
        rng = np.random.default_rng([self.seed, number])
        return self.makers[int(rng.choice(len(self.makers), p=self.shares))](number)


def disturbed(
    joints: Float[np.ndarray, "t j 2"],
    visible: Bool[np.ndarray, "t j"],
    size: float,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "t j 2"], Bool[np.ndarray, "t j"]]:
    """Poses as a forecaster errs: all of the body shifted, joints off by 1 to 4 % of its size,
    alike in all frames, and at times one missing."""
    off = size * rng.choice([0.01, 0.02, 0.04])
    shift = rng.normal(size=(1, 1, 2)) * 0.7 + rng.normal(size=(1, joints.shape[1], 2))
    visible = visible.copy()
    if rng.random() < 0.3:
        visible[:, rng.integers(joints.shape[1])] = False
    return (joints + off * shift).astype(np.float32), visible


def _as_bytes(
    layers: list[Layers],
    true: UInt8[np.ndarray, "n s s 3"],
    inside: UInt8[np.ndarray, "s s"],
    joints: Float[np.ndarray, "n j 2"],
    visible: Bool[np.ndarray, "n j"],
    size: float,
) -> Samples:
    pairs = zip(layers, true, strict=True)
    pictures = [np.concatenate([*each.pictures, frame], axis=-1) for each, frame in pairs]
    marks = [
        np.stack([each.distance.clip(0, _FARTHEST) * DISTANCE_STEPS, each.holes * 255, inside], -1)
        for each in layers
    ]
    shares = [np.moveaxis(each.shares, 0, -1) * 255 for each in layers]
    second, third = ((np.stack(each) + 0.5).astype(np.uint8) for each in (shares, marks))
    sizes = np.full(len(layers), size, np.float32)
    return Samples(np.stack(pictures), second, third, joints.astype(np.float32), visible, sizes)


@dataclass(frozen=True)
class View:
    """The upright square picture of a clip that is carried: a movement of source pixels."""

    linear: Float[np.ndarray, "2 2"]
    shift: Float[np.ndarray, "2"]

    @classmethod
    def around(cls, clip: StoredClip, numbers: Int[np.ndarray, " n"]) -> "View":
        """The square around the visible joints in these frames and 10 % on each side."""
        shown = clip.joints_px[numbers][clip.visible[numbers]]
        low, high = shown.min(axis=0), shown.max(axis=0)
        scale = COARSE / max(1.2 * float((high - low).max()), 8.0)
        return cls(np.eye(2) * scale, COARSE / 2 - scale * (low + high) / 2)

    def varied(self, zoom: float, turn_degrees: float, rng: np.random.Generator) -> "View":
        """Zoomed, turned and moved about its middle."""
        scale = np.exp(rng.uniform(-zoom, 0.4 * zoom))
        turn = np.radians(rng.uniform(-1, 1) * turn_degrees)
        change = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        middle = COARSE / 2 * (1 + rng.uniform(-0.16, 0.16, 2))
        return View(change @ self.linear, middle + change @ (self.shift - COARSE / 2))

    def cut(
        self, crop: Crop, pictures: UInt8[np.ndarray, "n h w *c"]
    ) -> UInt8[np.ndarray, "n s s *c"]:
        """Stored pictures of a crop as the view shows them."""
        height, width = pictures.shape[1:3]
        # Source pixels are corner + stored * stretch; centres of stored pixels lie at halves.
        linear = self.linear @ np.diag([crop.width / width, crop.height / height])
        shift = self.linear @ np.array([crop.x1, crop.y1]) + self.shift
        matrix = np.column_stack([linear, shift + linear @ np.full(2, 0.5) - 0.5])
        side, border = (COARSE, COARSE), cv2.BORDER_REPLICATE
        return np.stack([cv2.warpAffine(p, matrix, side, borderMode=border) for p in pictures])

    def place(
        self, clip: StoredClip, numbers: Int[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, "n j 2"], Bool[np.ndarray, "n j"]]:
        """Joints in pixels of the view, and which are visible."""
        joints = clip.joints_px[numbers] @ self.linear.T + self.shift
        return joints.astype(np.float32), clip.visible[numbers]

    def inside(self, clip: StoredClip) -> UInt8[np.ndarray, "s s"]:
        """255 where the view shows what is stored of the video, 0 where edges were repeated."""
        height, width = clip.image_hw
        crop = clip.crop
        x1, y1, x2, y2 = max(crop.x1, 0), max(crop.y1, 0), min(crop.x2, width), min(crop.y2, height)
        corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]]) @ self.linear.T + self.shift
        shown = np.zeros((COARSE, COARSE), np.uint8)
        cv2.fillConvexPoly(shown, np.round((corners - 0.5) * 16).astype(np.int32), 255, shift=4)
        return cv2.erode(shown, np.ones((3, 3), np.uint8))
