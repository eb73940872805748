"""What the Forecaster is made of: something that forecasts poses, something that draws frames.

To add a pose forecaster: write `networks/NAME.py` (the network, in its own coordinates) and
`forecasting/NAME.py` with a class that has the members of `TrainedPoseForecaster`; see `lstm.py`,
which is the whole of it for the paper's LSTM. It is given everything that was seen, in source
pixels and at the rate `needs` asks for, and answers in source pixels; crops and scales are its own
business (`SeenVideo.person_crop`, `geometry.px_to_crop`). Futures come as samples, the likeliest
first, with weights; `PoseForecast.of` fills in the rest. To look at all that was seen, set
`needs.max_past` to the most frames that are of use: an own video then gives as many as it has.

To add an image model: likewise a class with the members of `FrameDrawer`; see
`generator_drawer.py`. It is given all seen frames, of a long video of one's own the last
MOST_PICTURES of them and MOST_EARLIER from before (`SeenVideo.earlier`, which it may pass over):
those of a prepared store are cut and scaled already (`SeenVideo.crop`), those of an own video are
whole pictures in full resolution. `SeenVideo.cut` gives the crop of either at the size that the
network draws.

Then give the kind of its weights a row in `loading.py`, by which run folders and weight files find
the class.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.clips import PoseForecast, SeenVideo
from posecast.errors import PosecastError
from posecast.geometry import Crop
from posecast.records.arguments import check_is
from posecast.skeletons import Skeleton
from posecast.store.reading import StoredClip

MOST_PICTURES = 32
"""So many of the last seen frames are kept in full for a drawer, a second at the usual rate."""
MOST_EARLIER = 16
"""So many single ones from before, of all that was seen."""
MOST_STEPS = 10_000
"""Frames that are forecast at most, minutes: all of them are held in memory."""
MOST_FUTURES = 1000


_ROUNDED = 1e-3
_ALIKE = 0.02
"""Rates that differ by less than this share are taken as the same, as 29.97 and 30 are."""


def same_rate(one: float, other: float) -> bool:
    """Whether two frame rates are the same but for how they are rounded."""
    return abs(one / other - 1) < _ALIKE


def evenly(count: int, most: int) -> list[int]:
    """Numbers of so many of them at most, spread evenly, the first and the last among them."""
    return np.linspace(0, count - 1, min(most, count)).round().astype(int).tolist()


def recent_of(seen: SeenVideo) -> SeenVideo:
    """The last frames, which a drawer looks at (where the person walked long ago does not matter);
    all where no joint is visible in those."""
    recent = seen.last(MOST_PICTURES)
    return recent if recent.visible.any() else seen


@dataclass(frozen=True)
class Needs:
    """What a trained pose forecaster has to be shown."""

    skeleton: Skeleton
    num_past: int = 10
    """Seen frames that it should be shown at least."""
    max_past: int = 10
    """Seen frames that are of use to it; it may be given fewer, or more."""
    stride: int = 1
    """It is shown, and forecasts, every n-th frame of the videos that it was trained on."""
    fps: float | None = None
    """Frames a second of those videos; None: not recorded."""
    any_fps: bool = False
    """It brings whatever rate it is shown to its own by itself."""
    is_strict: bool = True
    """Fewer than `num_past` it does not take; else a single one will do."""

    def check_rate(self, name: str, clips: Iterable[StoredClip]) -> None:
        """PosecastError for clips of a store with another frame rate than it was trained at: it
        would forecast them too fast or too slow."""
        if self.fps is None or self.any_fps:
            return
        other = [clip for clip in clips if not same_rate(clip.fps, self.fps)]
        if other:
            raise PosecastError(
                f"{name} was trained at {self.fps:g} frames a second, clip {other[0].clip_id} has "
                f"{other[0].fps:g}: prepare the store at the same rate, use a run trained at this "
                "one, or forecast the video itself ('posecast forecast')"
            )

    def check_shown(self, name: str, num_past: int, stride: int) -> None:
        """PosecastError unless so many frames, `stride` apart, are what it takes."""
        least = self.num_past if self.is_strict else 1
        if not least <= num_past <= self.max_past or stride != self.stride:
            count = f"{least} to {self.max_past}" if least < self.max_past else least
            raise PosecastError(
                f"{name} was trained to see {count} frames, {self.stride} apart; shown are "
                f"{num_past}, {stride} apart: set num_past and stride to what it was trained on"
            )


@runtime_checkable
class PoseForecaster(Protocol):
    """What forecasts poses: trained networks, and the trivial forecasts beside them."""

    def forecast_poses(
        self, seen: Sequence[SeenVideo], steps: int, samples: int = 1
    ) -> list[PoseForecast]:
        """Futures of several clips, each of `steps` poses that go on from what was seen.

        Args:
            seen: equally many frames of each clip, at the rate that was trained on. Joints are
                NaN or nonsense where they are not visible, and must not be looked at there.
            steps: future frames.
            samples: how many futures are wanted; one that knows a single future gives one.

        Raises:
            PosecastError: what was seen does not fit.
        """
        ...


def checked(
    forecasts: Sequence[PoseForecast], seen: Sequence[SeenVideo], steps: int, samples: int
) -> list[PoseForecast]:
    """What a pose forecaster said of these; PosecastError unless it is what was asked for.

    Numbers of arrays that merely look alike (no axis of futures, more futures than were asked for,
    fewer frames) would be compared with the truth without a word.
    """
    check_is(forecasts, Sequence, "what the pose forecaster gave", "a list of PoseForecast")
    for forecast in forecasts:
        what = "a forecast of the pose forecaster"
        check_is(forecast, PoseForecast, what, "PoseForecast.of(seen, joints_px)")
    if len(forecasts) != len(seen):
        raise PosecastError(
            f"the pose forecaster gave {len(forecasts)} forecasts of {len(seen)} clips: give one "
            "of each, in their order"
        )
    for forecast, video in zip(forecasts, seen, strict=True):
        _check(forecast, video, steps, samples)
    return list(forecasts)


def _check(forecast: PoseForecast, seen: SeenVideo, steps: int, samples: int) -> None:
    wanted, got = (steps, *seen.visible.shape[1:]), np.shape(forecast.joints_px)
    if got[1:] != (*wanted, 2) or not 1 <= got[0] <= samples:
        raise PosecastError(
            f"the pose forecaster gave joints_px {got}; expected {(samples, *wanted, 2)}, futures "
            "(fewer will do), frames, joints, x and y"
        )
    if np.shape(forecast.visible) != wanted:
        got = np.shape(forecast.visible)
        raise PosecastError(f"the pose forecaster gave visible {got}; expected {wanted}")
    weights = np.asarray(forecast.weights)
    if weights.shape != got[:1] or not (weights >= 0).all() or abs(weights.sum() - 1) > _ROUNDED:
        raise PosecastError(
            f"the pose forecaster gave the weights {weights}; expected one of each of {got[0]} "
            "futures, 0 or more, their sum 1"
        )
    if not np.isfinite(forecast.joints_px).all():
        raise PosecastError(
            "the pose forecaster gave NaN or infinite places: look at no joint where it is not "
            "visible, and give those that were never seen a place, too"
        )


@runtime_checkable
class TrainedPoseForecaster(PoseForecaster, Protocol):
    """A pose forecaster that was trained on one skeleton, at one rate."""

    @property
    def needs(self) -> Needs: ...


@runtime_checkable
class SaysHowSure(Protocol):
    """A pose forecaster that says how far off it may be."""

    def radii_px(self, seen: SeenVideo) -> Float[np.ndarray, "q t j"]:
        """Distances from the first future, in pixels, that hold each joint in half (0) and in nine
        tenths (1) of the cases, for as many frames ahead, at the rate that was trained on, as it
        knows of."""
        ...


@runtime_checkable
class FrameDrawer(Protocol):
    """What draws a person in poses that are given, from seen frames."""

    @property
    def skeleton(self) -> Skeleton: ...

    @property
    def size(self) -> int | None:
        """Side of the frames that it draws, in pixels; None: that of the seen ones."""
        ...

    def crop_of(
        self,
        seen: SeenVideo,
        joints_px: Float[np.ndarray, "*s t j 2"],
        visible: Bool[np.ndarray, "t j"],
    ) -> Crop:
        """The part of the source image in which it draws these poses, of one or more futures;
        `seen.crop` where one was chosen. PosecastError where no joint was ever visible."""
        ...

    def draw_frames(
        self,
        seen: SeenVideo,
        joints_px: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
        crop: Crop | None = None,
    ) -> UInt8[np.ndarray, "t h w 3"]:
        """One frame a pose, showing the crop, that of `crop_of` by default, in `size` x `size`
        pixels (where `size` is None, in as many as the drawer likes); `seen` has frames.
        PosecastError: seen frames that were cut or scaled otherwise.
        """
        ...
