"""From what was seen of a person to future poses, and from those to future frames.

The Forecaster puts a pose forecaster and a frame drawer together (`protocols`); it knows no
network. Poses stay in pixels of the source image all the way.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy.typing import ArrayLike

from posecast.clips import EarlierPictures, Forecast, PoseForecast, SeenVideo
from posecast.computing.devices import ForecasterOptions
from posecast.errors import PosecastError
from posecast.forecasting import protocols
from posecast.forecasting.frame_rates import (
    FrameRates,
    steps_of_model,
    to_model_rate,
    to_video_rate,
)
from posecast.forecasting.loading import load_frame_drawer, load_pose_forecaster
from posecast.pretrained import DEFAULT_FORECASTER
from posecast.records.arguments import as_count, as_positive, check_is, got
from posecast.skeletons import Skeleton
from posecast.store.reading import Store, StoredClip
from posecast.store.seen_windows import Start, read_window, seen_window

CLIPS_PER_BATCH = 64
"""Clips whose poses are forecast together."""
_FARTHEST_PX = 1e6
"""No picture is so large: what lies farther off is no place in one."""


class Forecaster:
    """A pose forecaster and a frame drawer, ready to forecast.

    Make one with `Forecaster.load`, or from any two that have the methods of `protocols`. Without
    a drawer it forecasts poses only; without a pose forecaster it draws given poses only.
    """

    def __init__(
        self,
        poses: protocols.TrainedPoseForecaster | None,
        drawer: protocols.FrameDrawer | None = None,
    ) -> None:
        if poses is None and drawer is None:
            raise PosecastError("give a pose run, an image run, or both")
        by_name = "Forecaster.load makes one of a name, a run or a file"
        if poses is not None:
            check_is(poses, protocols.TrainedPoseForecaster, "poses", f"a pose model: {by_name}")
        if drawer is not None:
            check_is(drawer, protocols.FrameDrawer, "drawer", f"an image model: {by_name}")
        self.poses, self.drawer = poses, drawer
        named = [poses.needs.skeleton] if poses else []
        named += [drawer.skeleton] if drawer else []
        if named[0] != named[-1]:
            raise PosecastError(
                f"the pose run was trained on skeleton {named[0].name}, the image run on "
                f"{named[-1].name}; use two runs of one data set"
            )
        self.skeleton = named[0]
        self.needs = poses.needs if poses else protocols.Needs(self.skeleton)
        """What has to be seen."""

    def __repr__(self) -> str:
        models = (type(each).__name__ for each in (self.poses, self.drawer) if each is not None)
        return f"Forecaster({', '.join(models)} of {self.skeleton.name})"

    @classmethod
    def load(
        cls,
        pose_run: str | Path | None,
        image_run: str | Path | None = None,
        options: ForecasterOptions | None = None,
    ) -> "Forecaster":
        """Read the best weights of finished or unfinished runs; leave out what is not needed.

        Raises:
            PosecastError: not a run, a run of another kind, no weights yet, or two runs that do not
                fit each other.
        """
        return cls(
            None if pose_run is None else load_pose_forecaster(pose_run, options),
            None if image_run is None else load_frame_drawer(image_run, options),
        )

    @classmethod
    def pretrained(
        cls, image_run: str | Path | None = None, options: ForecasterOptions | None = None
    ) -> "Forecaster":
        """The pose forecaster that ships; with an image model's run it draws, too."""
        return cls.load(DEFAULT_FORECASTER, image_run, options)

    def forecast_poses(
        self, seen: Sequence[SeenVideo], steps: int, samples: int = 1
    ) -> list[PoseForecast]:
        """As `PoseForecaster`, many clips in batches; PosecastError without a pose model."""
        if self.poses is None:
            raise PosecastError("no pose model: give a pose run to forecast poses")
        steps = as_count(steps, "steps", most=protocols.MOST_STEPS)
        samples = as_count(samples, "samples", most=protocols.MOST_FUTURES)
        for each in check_is(seen, Sequence, "seen", "a list of SeenVideo"):
            check_is(each, SeenVideo, "what was seen", "a SeenVideo")
        forecasts = []
        for first in range(0, len(seen), CLIPS_PER_BATCH):
            batch = seen[first : first + CLIPS_PER_BATCH]
            said = self.poses.forecast_poses(batch, steps, samples)
            forecasts += protocols.checked(said, batch, steps, samples)
        return forecasts

    def draw(
        self,
        seen: SeenVideo,
        poses: PoseForecast,
        drawn: int = 1,
        on_drawn: Callable[[], None] = lambda: None,
    ) -> Forecast:
        """Frames of the first `drawn` futures; of none without an image model, or without frames
        to draw from. `on_drawn` is called after each future."""
        values = (poses.joints_px, poses.visible, poses.weights, poses.fps)
        if self.drawer is None or seen.frames is None:
            return Forecast(*values, None, seen.person_crop)
        frames, futures = [], poses.joints_px[: as_count(drawn, "drawn")]
        crop = self.drawer.crop_of(seen, futures, poses.visible)
        for joints in futures:
            frames.append(self.drawer.draw_frames(seen, joints, poses.visible, crop))
            on_drawn()
        return Forecast(*values, np.stack(frames), crop)

    def forecast(
        self, seen: SeenVideo, steps: int = 64, samples: int = 1, drawn: int = 1
    ) -> Forecast:
        """Up to `samples` futures of `steps` frames, and frames of the first `drawn` of them.

        Raises:
            PosecastError: no pose model, no visible joint, or what was seen does not fit.
        """
        return self.draw(seen, self.forecast_poses([seen], steps, samples)[0], drawn)

    def forecast_poses_of_video(
        self, seen: SeenVideo, rates: FrameRates, steps: int, samples: int = 1
    ) -> PoseForecast:
        """Futures of a stretch of video at another frame rate than the pose model's.

        Both `seen` and the answer are at the rate of the video.
        """
        steps = as_count(steps, "steps", most=protocols.MOST_STEPS)
        of_model, many = steps_of_model(rates, steps), "steps at the rate of the pose model"
        as_count(of_model, many, most=protocols.MOST_STEPS)
        past = to_model_rate(seen, rates, self.needs.max_past)
        poses = self.forecast_poses([past], of_model, samples)[0]
        return to_video_rate(poses, seen, steps)

    def radii_px(self, seen: SeenVideo, rates: FrameRates) -> Float[np.ndarray, "q t j"] | None:
        """As `SaysHowSure`, of such a stretch; None where the pose model does not say."""
        if not isinstance(self.poses, protocols.SaysHowSure):
            return None
        return self.poses.radii_px(to_model_rate(seen, rates, self.needs.max_past))

    def predict(
        self,
        frames: Sequence[UInt8[np.ndarray, "h w 3"]] | UInt8[np.ndarray, "t h w 3"],
        joints: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
        steps: int = 64,
        num_seen: int | None = None,
        samples: int = 1,
        fps: float | None = None,
    ) -> Forecast:
        """Forecast a video of one's own from its seen frames.

        Args:
            frames: full pictures, RGB.
            joints: in pixels of those pictures, (0, 0) the top-left corner.
            visible: which joints were found.
            steps: how many frames to forecast.
            num_seen: how many of the frames are seen, all by default; what comes after them is
                not looked at.
            samples: how many futures, where the pose model knows several; the first is drawn.
            fps: frames a second of `frames` and of the forecast; None: the rate of the videos that
                the pose model was trained on.

        The crop is chosen by seen frames and forecast poses; `Forecast.frames` show it, and
        `Forecast.joints_px` are in pixels of the full pictures.

        Raises:
            PosecastError: too few seen frames, no visible joint, or arrays that do not fit.
        """
        fps = None if fps is None else as_positive(fps, "fps")
        rates = FrameRates.of_arrays(self.needs, fps)
        if isinstance(frames, str | bytes) or not hasattr(frames, "__len__"):
            raise PosecastError(
                f"frames is {got(frames)}; expected an array (t, h, w, 3) or a list of pictures"
            )
        used = self._used_frames(rates, len(frames), num_seen)
        last = max(len(used) - protocols.MOST_PICTURES, 0)
        before = tuple(protocols.evenly(last, protocols.MOST_EARLIER))
        looked_at = [frames[used[place]] for place in (*before, *range(last, len(used)))]
        taken, joints, visible = _arrays(looked_at, joints, visible, len(frames), self.skeleton)
        poses, hw = (joints[used], visible[used]), (taken[0].shape[0], taken[0].shape[1])
        pictures = earlier = None
        if self.drawer is not None:
            early, pictures = np.split(np.stack(taken), [len(before)])
            earlier = EarlierPictures(before, early) if before else None
        seen = SeenVideo(*poses, rates.video, hw, pictures, earlier=earlier, trimmed=False)
        if not (np.abs(seen.joints_px[seen.visible]) < _FARTHEST_PX).all():
            raise PosecastError(
                "visible joints have NaN or infinite places, or some a million pixels away; mark "
                "them as not visible"
            )
        return self.draw(seen, self.forecast_poses_of_video(seen, rates, steps, samples))

    def _used_frames(self, rates: FrameRates, num_frames: int, num_seen: int | None) -> list[int]:
        """Numbers of the last frames that are of use."""
        if not num_frames:
            raise PosecastError("frames is empty; give one seen frame at least, better ten or more")
        num_seen = num_frames if num_seen is None else as_count(num_seen, "num_seen", 0)
        if not 0 < num_seen <= num_frames:
            raise PosecastError(f"num_seen is {num_seen}, there are {num_frames} frames")
        num_past, needed = self.needs.num_past, rates.span(self.needs.num_past)
        if num_seen < needed and self.needs.is_strict:
            raise PosecastError(
                f"{num_seen} seen frames at {rates.video:g} a second, expected at least {needed}: "
                f"the pose model was trained to see {num_past} at {rates.model:g} a second"
            )
        return list(range(max(num_seen - rates.span(self.needs.max_past), 0), num_seen))

    def predict_clip(
        self,
        store: Store,
        clip: StoredClip,
        steps: int = 64,
        start: Start = "first",
        samples: int = 1,
    ) -> Forecast:
        """Forecast a clip of a prepared store; its crop is the store's.

        `start` is where the seen frames begin. Raises ClipError where the clip cannot be used:
        too short, no joint seen, or no frames though there is an image model; PosecastError where
        the pose model was trained at another frame rate.
        """
        check_is(store, Store, "store", "what Store.open gives")
        check_is(clip, StoredClip, "clip", "what store.clip gives")
        self.needs.check_rate("the pose model", [clip])
        steps = as_count(steps, "steps", most=protocols.MOST_STEPS)
        window = seen_window(clip, self.needs.num_past, steps, start, self.needs.stride)
        seen = window.past if self.drawer is None else read_window(store, clip, window)[0]
        return self.forecast(seen, steps, samples)


def check_forecaster(value: object) -> None:
    """PosecastError for what is no Forecaster, such as the name of one."""
    made = "what Forecaster.load or Forecaster.pretrained gives"
    check_is(value, Forecaster, "forecaster", made)


def _arrays(
    looked_at: Sequence[ArrayLike] | np.ndarray,
    joints: ArrayLike,
    visible: ArrayLike,
    num_frames: int,
    skeleton: Skeleton,
) -> tuple[list[UInt8[np.ndarray, "h w 3"]], Float[np.ndarray, "t j 2"], Bool[np.ndarray, "t j"]]:
    """What a user gave (arrays, lists, tensors) as arrays; PosecastError where these are no frames
    with a pose each. Of the frames, which may be a long video's, only those looked at."""
    try:
        frames = [np.asarray(each) for each in looked_at]
        joints, visible = np.asarray(joints, float), np.asarray(visible)
    except (ValueError, TypeError, RuntimeError) as error:
        raise PosecastError(
            f"frames, joints or visible are no arrays of numbers, alike for each frame: {error}"
        ) from error
    kinds = sorted({f"{each.dtype} {each.shape}" for each in frames})
    are_pictures = (x.dtype == np.uint8 and x.shape[2:] == (3,) and x.size for x in frames)
    if len(kinds) > 1 or not all(are_pictures):
        raise PosecastError(
            f"frames are {', '.join(kinds)}; expected uint8 (h, w, 3), RGB, all of one size"
        )
    shape = (num_frames, skeleton.num_joints)
    if joints.shape != (*shape, 2) or visible.shape != shape:
        raise PosecastError(
            f"joints {joints.shape} and visible {visible.shape} do not fit {num_frames} frames "
            f"of skeleton {skeleton.name}: expected {(*shape, 2)} and {shape}"
        )
    if not np.isin(visible, (0, 1)).all():
        raise PosecastError("visible has other values than True and False: say which joints count")
    visible = visible.astype(bool)
    if visible.any() and (np.abs(joints[visible]) <= 2).all():
        raise PosecastError("all joints lie at the corner: give pixels, not shares of the picture")
    return frames, joints, visible
