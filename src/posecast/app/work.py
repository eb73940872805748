"""What the app does with a video: take it in, see who is there, forecast, and clear away.

No logic of its own: each step is a function of `forecasting` or `report`, called as the command
line calls it. Nothing here knows Gradio.
"""

import contextlib
import re
import secrets
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from posecast.computing.devices import ForecasterOptions
from posecast.computing.memory import memory_told
from posecast.computing.stages import Show, Stages
from posecast.errors import PosecastError
from posecast.estimation import EstimatorOptions, load_pose_estimator
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.frame_rates import FrameRates
from posecast.media.frame_folders import write_picture
from posecast.media.videos import probe_video
from posecast.own_video.forecast import forecast_video
from posecast.own_video.people import draw_people
from posecast.own_video.poses import EstimatedPoses, OwnVideoConfig, people_to_choose_from
from posecast.own_video.truth import NothingToCompareError, second_to_compare_from
from posecast.own_video.watching import Past
from posecast.pretrained import DEFAULT_DRAWER, DEFAULT_ESTIMATOR, DEFAULT_FORECASTER
from posecast.records.configs import check_over_zero
from posecast.report.comparison import compare_forecast, write_forecast_page
from posecast.sample import SAMPLE

_AHEAD_S = 2.0
"""Seconds that are forecast unless somebody asks for others."""


@dataclass(frozen=True)
class Limits:
    """What one person may ask of the machine that the app runs on."""

    max_mb: int = 200
    """Size of a video, in megabytes."""
    max_seconds: float = 120.0
    """Length of a video."""
    max_ahead_s: float = 4.0
    """How far a forecast goes."""
    max_futures: int = 4
    """Futures of one forecast."""

    def __post_init__(self) -> None:
        check_over_zero(self, "max_mb", "max_seconds", "max_ahead_s", "max_futures")


@dataclass(frozen=True, eq=False)
class Taken:
    """A video that somebody gave, and what is known of it."""

    path: Path
    folder: Path
    """Holds it and all that is made of it."""
    seconds: float
    fps: float
    """At which it is looked at."""
    start_s: float
    """A second to forecast from that leaves some of the video to compare with; of a short video its
    end."""


@dataclass(frozen=True)
class Asked:
    """What to forecast of a video."""

    from_s: float
    """From this second on; at or past the end: from where the person was seen last."""
    person: int | None = 1
    """Which of several people; None: everybody, in one future."""
    futures: int = 3
    ahead_s: float = _AHEAD_S


@dataclass(frozen=True)
class Done:
    """A forecast."""

    page: Path
    """To look at: futures to flip through, beside what came where the video goes on."""
    files: tuple[Path, ...]
    text: str


@dataclass(frozen=True, eq=False)
class Workshop:
    """The models, loaded once, and the folder of everything that the app holds."""

    root: Path
    forecaster: Forecaster
    source: EstimatedPoses
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def shipped(cls, root: Path, options: ForecasterOptions, limits: Limits) -> "Workshop":
        """With the weights that ship, as `posecast forecast` takes them."""
        forecaster = Forecaster.load(DEFAULT_FORECASTER, DEFAULT_DRAWER, options)
        looks = EstimatorOptions(device=options.device, precision=options.precision)
        estimator = load_pose_estimator(DEFAULT_ESTIMATOR, forecaster.skeleton, looks)
        return cls(root, forecaster, EstimatedPoses(estimator), limits)

    def hold(self, uploaded: Path) -> Path:
        """Move an upload to a folder of its own, at once: who gives the same video is given the
        same path. PosecastError where somebody was sooner."""
        path = self._new_folder(self.root, "video") / uploaded.name
        try:
            shutil.move(uploaded, path)
        except OSError as error:
            shutil.rmtree(path.parent, ignore_errors=True)
            raise PosecastError(f"{uploaded.name} did not come; drop it again") from error
        with contextlib.suppress(OSError):
            uploaded.parent.rmdir()
        return path

    def take(self, held: Path | None) -> Taken:
        """Look at a video that is held; None takes the sample, which stays where it is.

        PosecastError for what is no video, or more than the limits allow; nothing stays then.
        """
        path = held or SAMPLE
        folder = self._new_folder(self.root, "video") if held is None else held.parent
        try:
            with memory_told():
                return self._known(path, folder)
        except PosecastError:
            shutil.rmtree(folder)
            raise

    def _known(self, path: Path, folder: Path) -> Taken:
        limits = self.limits
        if path.stat().st_size > limits.max_mb * 1e6:
            raise PosecastError(
                f"{path}: {path.stat().st_size / 1e6:.0f} MB, at most {limits.max_mb} are taken: "
                "cut it"
            )
        info = probe_video(path)
        seconds = max(info.duration_s, info.num_frames / info.fps)
        if seconds > limits.max_seconds:
            raise PosecastError(
                f"{path}: lasts {seconds:.0f} s, at most {limits.max_seconds:g} are taken: cut it"
            )
        rates = FrameRates.of_video(info.fps, self.forecaster.needs)
        steps, least = round(_AHEAD_S * rates.video), rates.span(self.forecaster.needs.num_past)
        try:
            start = second_to_compare_from(path, rates.video, steps, least)
        except NothingToCompareError:
            start = seconds
        return Taken(path, folder, seconds, rates.video, start)

    def look(self, taken: Taken, from_s: float, show: Show) -> tuple[Path, int]:
        """A picture of everybody whom one can choose before that second, and how many they are."""
        stages, length_s = Stages(show), probe_video(taken.path).duration_s
        past = Past(taken.path, taken.fps, self._from_s(taken, from_s), duration_s=length_s)
        with stages.stage("looking", self.source.follow.watch):
            people = people_to_choose_from(past.late(OwnVideoConfig.lead_s), self.source, stages)
        path = self._new_folder(taken.folder, "people") / "people.png"
        write_picture(path, draw_people(people, self.forecaster.skeleton))
        return path, len(people.poses)

    def forecast(self, taken: Taken, asked: Asked, show: Show) -> Done:
        """Videos, poses and a page of a forecast, beside what came where the video goes on."""
        steps = max(round(min(asked.ahead_s, self.limits.max_ahead_s) * taken.fps), 1)
        futures = min(max(asked.futures, 1), self.limits.max_futures)
        everybody = asked.person is None
        config = OwnVideoConfig(steps, 1 if everybody else futures, everybody, separate=True)
        stages, folder = Stages(show), self._new_folder(taken.folder, "forecast")
        made_by = (self.forecaster, replace(self.source, person=asked.person or 1))
        out, from_s = folder / f"{taken.path.stem}-forecast.mp4", self._from_s(taken, asked.from_s)
        result = forecast_video(taken.path, *made_by, out, config, from_s, stages)
        result = replace(result, note=self.names(result.note))
        why = "The video ends here: there is nothing to compare the forecast with."
        if everybody and result.others:
            why = "Of several people nothing is compared: choose one to see what really came."
        elif from_s is not None:
            compared = folder / f"{taken.path.stem}-compare.mp4"
            try:
                beside = compare_forecast(*made_by, result, compared, stages)
                told = f"{result.summary()}\n\n{beside.comparison.verdict()}"
                return Done(beside.files[-1], (*result.files, *beside.files), told)
            except NothingToCompareError as error:
                why = self.names(error.text)
        page = out.with_suffix(".html")
        write_forecast_page(result, page, why)
        return Done(page, (*result.files, page), f"{result.summary()}\n\n{why}")

    def _from_s(self, taken: Taken, from_s: float) -> float | None:
        """None where that is the end of the video."""
        return from_s if from_s < taken.seconds - 0.5 / taken.fps else None

    def names(self, text: str) -> str:
        """A message with the names of files alone, as somebody reads it who stands beside them."""
        return re.sub(rf"{re.escape(str(self.root))}/video-[^/]+/(\w+-[^/]+/)?", "", text)

    def clear(self, taken: Taken) -> None:
        """Remove a video and all that was made of it."""
        shutil.rmtree(taken.folder, ignore_errors=True)

    def _new_folder(self, parent: Path, kind: str) -> Path:
        """A folder whose name nobody can guess: who knows it may download what is in it."""
        folder = parent / f"{kind}-{secrets.token_hex(16)}"
        folder.mkdir(parents=True)
        return folder
