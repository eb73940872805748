"""Forecast a video of one's own: poses, the seen frames, forecast, files."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posecast.clips import SeenVideo
from posecast.computing.stages import Stages
from posecast.errors import PosecastError
from posecast.estimation import PoseEstimator
from posecast.forecasting.forecaster import Forecaster, check_forecaster
from posecast.forecasting.frame_rates import USUAL_FPS, FrameRates
from posecast.geometry import sides_of
from posecast.media.frame_folders import FrameFolder, is_of_pictures
from posecast.media.videos import VideoSource, probe_video
from posecast.own_video.files import check_out, check_people, forecast_files, out_of, person_files
from posecast.own_video.late_comers import with_late_comers
from posecast.own_video.people import is_same_person, tell_of_people
from posecast.own_video.poses import (
    EstimatedPoses,
    FoundPoses,
    OwnVideoConfig,
    PoseSource,
    find_poses,
)
from posecast.own_video.result import OwnForecast, Sureness
from posecast.own_video.seen_frames import SeenPictures, choose_frames
from posecast.own_video.watching import NotSeenError, Past
from posecast.pretrained import DEFAULT_DRAWER
from posecast.records.arguments import as_path, check_settings
from posecast.records.files import write_together

_TOLD_AT_S = (0.25, 0.5, 1.0, 2.0)


def forecast_video(
    video: VideoSource,
    forecaster: Forecaster | None = None,
    poses: PoseSource | None = None,
    out: str | Path | None = None,
    config: OwnVideoConfig | None = None,
    from_s: float | None = None,
    stages: Stages | None = None,
    or_earlier: bool = False,
) -> OwnForecast:
    """Forecast a video from its last well-seen stretch, or from a second of it on.

    Args:
        video: a video file, or a folder of frames (at `config.folder_fps`).
        forecaster: None is what ships, which draws, too.
        poses: an estimator that follows a person, or a file of keypoints of this video; None is
            the estimator that ships.
        out: video to write, .mp4 or .gif; its joints go beside it as .npz, and a numbered picture
            of the people where there are several. None writes nothing.
        from_s: forecast from this second on; what is shown later is not looked at.
        stages: a clock that is told of finding, reading, forecasting, drawing and writing.
        or_earlier: where the person is not seen well right before `from_s`, forecast from where it
            was last seen well before that.

    Raises:
        PosecastError: no video, a damaged one, nobody in it, too short, not well seen, or poses and
            models of different skeletons.
    """
    config, stages = config or OwnVideoConfig(), stages or Stages()
    forecaster = Forecaster.pretrained(DEFAULT_DRAWER) if forecaster is None else forecaster
    check_forecaster(forecaster)
    check_settings(config, OwnVideoConfig, "config")
    out = None if out is None else as_path(out, "out")
    video = video_source(video, forecaster, config)
    poses = EstimatedPoses(PoseEstimator.pretrained()) if poses is None else poses
    if config.everybody and isinstance(poses, EstimatedPoses) and poses.box is not None:
        raise PosecastError("everybody, and a box that says who it is: leave one of the two out")
    if out is not None:
        check_out(out, video, poses, config)
    facts = probe_video(video)
    rates = FrameRates.of_video(facts.fps, forecaster.needs, config.fps)
    work = _Work(forecaster, poses, config, rates, config.fps or facts.fps, stages)
    past = Past(video, rates.video, from_s, duration_s=facts.duration_s)
    result = work.forecast_all(past, or_earlier, out)
    if out is None:
        return result
    with stages.stage("writing"):
        files = forecast_files(result, out, config, stages)
        write_together(files)
    theirs = ((each, person_files(each, out_of(each, out), config)) for each in result.others)
    others = tuple(replace(each, files=tuple(files)) for each, files in theirs)
    return replace(result, files=tuple(files), others=others)


@dataclass(frozen=True, eq=False)
class _Looked:
    """Poses of one person, and which of them are seen ones."""

    past: Past
    found: FoundPoses
    """Without its pictures."""
    frames: tuple[int, ...]
    pictures: SeenPictures
    """The same ones of all people."""

    @property
    def last(self) -> SeenVideo:
        """The last seen pose."""
        return self.found.seen.take(self.frames[-1:], self.found.seen.fps, None)


@dataclass(frozen=True, eq=False)
class _Work:
    """What a video is forecast with."""

    forecaster: Forecaster
    poses: PoseSource
    config: OwnVideoConfig
    rates: FrameRates
    shown_fps: float
    stages: Stages

    @property
    def least(self) -> int:
        """Frames that the pose model has to see."""
        needs = self.forecaster.needs
        return self.rates.span(needs.num_past) if needs.is_strict else 1

    def forecast_all(self, past: Past, or_earlier: bool, out: Path | None) -> OwnForecast:
        """The person who is asked for, with all others who go on; what will be written to `out`."""
        people = self.look_late(past, or_earlier)
        notes = [*filter(None, self._notes(people[0], out))]
        if self.config.everybody:
            people, stay = _who_go_on(people)
            notes += stay
        asked, *others = people
        if out is not None:
            numbers = [each.found.person for each in others]
            are_numbered = asked.found.people is not None
            check_people(out, past.video, self.poses, self.config, numbers, are_numbered)
        result = replace(self.forecast(asked), note="\n".join(notes))
        last = {"frames": result.seen.pictures[-1:], "earlier": None}
        more = (self.forecast(each) for each in others)
        return replace(
            result, others=tuple(replace(each, seen=replace(each.seen, **last)) for each in more)
        )

    def look_late(self, past: Past, or_earlier: bool) -> list[_Looked]:
        """At the last of the video; once more before where the person leaves early, or at all of it
        where nobody is seen well."""
        in_box = isinstance(self.poses, EstimatedPoses) and self.poses.box is not None
        late = past if in_box else past.late(self.config.lead_s)  # a box is of the first frame
        was_before = late.first and (past.from_s is None or or_earlier)
        try:
            looked = self.look(late, or_earlier)
        except NotSeenError:
            if not was_before:
                raise
            return self.look(past, or_earlier)
        end = looked[0].frames[-1] + 1
        if not was_before or end >= late.first + late.count // 2:
            return looked
        return self.look(past.late(self.config.lead_s, end), or_earlier)  # more was seen before

    def look(self, past: Past, or_earlier: bool) -> list[_Looked]:
        """The person who is asked for first; others who are seen well where its seen frames end."""
        with self.stages.stage("finding", past.count):
            found = find_poses(
                past, self.poses, self.forecaster.skeleton, self.stages, self.config.everybody
            )
            frames = self._choose(past, found[0], past.from_s, or_earlier)
            stop = frames[-1] + 1
            if self.config.everybody and isinstance(self.poses, EstimatedPoses):
                found = with_late_comers(past, self.poses, found, stop)
        asked, *others = found
        people = [(asked, frames)]
        for other in (each.before(stop) for each in others):
            with contextlib.suppress(NotSeenError):
                people.append((other, self._choose(past, other, stop / self.rates.video)))
        with self.stages.stage("reading"):
            pictures = SeenPictures.of(past.video, asked, [frames for _, frames in people])
        return [
            _Looked(past, replace(each, pictures=(), earlier=()), frames, pictures)
            for each, frames in people
        ]

    def _choose(
        self, past: Past, found: FoundPoses, from_s: float | None, or_earlier: bool = False
    ) -> tuple[int, ...]:
        named = (self.config, str(past.video), from_s, found.shots, or_earlier)
        return choose_frames(found.seen, self.forecaster.needs, self.rates, *named)

    def forecast(self, looked: _Looked) -> OwnForecast:
        forecaster, config, stages = self.forecaster, self.config, self.stages
        past, found, last = looked.past, looked.found, looked.frames[-1]
        seen = looked.pictures.shown(found, looked.frames)
        with stages.stage("forecasting"):
            asked = (seen, self.rates, config.steps)
            futures = forecaster.forecast_poses_of_video(*asked, config.futures)
            sureness = _sureness(forecaster, *asked)
        with stages.stage("drawing", len(futures.joints_px)):
            forecast = forecaster.draw(seen, futures, config.futures, stages.advance)
        return OwnForecast(
            video=past.video,
            seen=seen,
            forecast=forecast,
            skeleton=forecaster.skeleton,
            past_frames=looked.frames,
            first=past.first,
            rates=self.rates,
            shown_fps=self.shown_fps,
            lost=tuple(span for span in found.lost if span[0] <= last),
            sureness=sureness,
            person=found.person,
            num_people=found.num_people,
            people=found.people,
        )

    def _notes(self, looked: _Looked, out: Path | None) -> Iterator[str]:
        """What was guessed, what of the video was not seen, whom one can choose; a line each."""
        past, found, frames = looked.past, looked.found, looked.frames
        fps, end = found.seen.fps, len(found.seen)
        yield self.rates.describe()
        if isinstance(past.video, FrameFolder):
            yield past.video.describe()
        yield found.note
        if past.first:
            first = f"looked at and written from {past.first / fps:.2f} s on"
            yield f"{first}: what was before makes the forecast no better"
        if found.shots[frames[-1]] > past.first:
            cut = found.shots[frames[-1]] / fps
            yield f"the video cuts to another shot at {cut:.2f} s: what was before is not looked at"
        if frames[-1] + 1 < end:
            many = f", or not in {self.least} frames of one shot, which the pose model needs"
            who = (
                f"person {found.person}"
                if self.config.everybody and found.num_people > 1
                else "the person"
            )
            why = f"{who} is not seen well{many * (self.least > 1)}"
            why = "it fades" if frames[-1] + 1 >= end - found.num_faded else why
            last = f"from {(frames[-1] + 1) / fps:.2f} s on {why}"
            yield f"the video was looked at to {end / fps:.2f} s, but {last}"
        yield tell_of_people(found.people, out, self.config.everybody)


def _who_go_on(people: Sequence[_Looked]) -> tuple[list[_Looked], list[str]]:
    """Everybody who is seen well and apart from the others; and who is not, a line each."""
    asked, *others = people
    numbers = range(1, asked.found.num_people + 1)
    goes_on, stay = [asked], dict.fromkeys(numbers, "is not seen well")
    stay.pop(asked.found.person, None)
    for each in others:
        stay[each.found.person] = "was taken for somebody else"
        if not any(is_same_person(each.last, other.last) for other in goes_on):
            goes_on.append(each)
            del stay[each.found.person]
    stays = "stays as in the last seen frame, where it"
    return goes_on, [f"person {number} {stays} {why}" for number, why in stay.items()]


def video_source(
    video: VideoSource, forecaster: Forecaster, config: OwnVideoConfig
) -> Path | FrameFolder:
    """The video; a folder of frames, or a photo, at `config.folder_fps`, else the model's rate."""
    if isinstance(video, FrameFolder):
        return video
    path = as_path(video, "video", "; frames in memory go to Forecaster.predict")
    if not is_of_pictures(path):
        return path
    return FrameFolder(path, config.folder_fps or forecaster.needs.fps or USUAL_FPS)


def _sureness(forecaster: Forecaster, seen: SeenVideo, rates: FrameRates, steps: int) -> Sureness:
    """How far off a joint is at most in nine of ten cases, at some times of the forecast."""
    radii = forecaster.radii_px(seen, rates)
    if radii is None:
        return ()
    size = max(float(np.median(sides_of(seen.joints_px, seen.visible))), 1.0)
    shares = radii[1].mean(axis=1) / size
    last = min(steps / rates.video, len(shares) / rates.model)
    return tuple(
        (at, float(shares[round(at * rates.model) - 1])) for at in _TOLD_AT_S if at <= last
    )
