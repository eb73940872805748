"""`posecast forecast`: videos of one's own."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from posecast.cli import STARTED
from posecast.cli.asked_videos import asked_videos, outs_of
from posecast.cli.parsing import Command, print_json
from posecast.cli.stages import shown
from posecast.computing.devices import Flat, ForecasterOptions
from posecast.computing.memory import keep_freed_memory, memory_told
from posecast.computing.stages import Stages
from posecast.errors import PosecastError
from posecast.estimation import Box, EstimatorOptions, FollowOptions, load_pose_estimator
from posecast.estimation.estimator import JointFinder, Pixels
from posecast.evaluation.comparison import Comparison
from posecast.export.running import load_onnx
from posecast.forecasting.forecaster import Forecaster
from posecast.keypoints import Format, KeypointOptions
from posecast.own_video.forecast import forecast_video
from posecast.own_video.poses import EstimatedPoses, KeypointFile, OwnVideoConfig
from posecast.pretrained import DEFAULT_DRAWER, DEFAULT_ESTIMATOR, DEFAULT_FORECASTER
from posecast.records.files import WriteError
from posecast.report.comparison import compare_video
from posecast.report.comparisons import comparisons_text, together
from posecast.sample import SAMPLE

_USUAL_CONFIDENCE = 0.3
_KNOWS = "after the last seen frame the camera is taken to stand still"


@dataclass(frozen=True)
class ForecastVideo(Command):
    """Forecast videos of your own: how the person in each goes on.

    Finds the person, follows it, and forecasts what comes after the last frames in which it is
    seen well, or after --from. Nothing that is shown later is looked at. Writes the video as it
    goes on, in its own size and rate, and the joints as .npz beside it. Needs nothing but the
    video: the weights that ship with posecast do it ('posecast models' lists them). Of several
    videos those that cannot be forecast are left out, and named at the end (exit status 1; 2 where
    none could).

    Examples:
      posecast forecast --sample
      posecast forecast my.mp4
      posecast forecast my.mp4 --futures 4
      posecast forecast *.mp4 --out forecasts
      posecast forecast my.mp4 --box 120,40,90,210 --from 2.5 --panels --out future.gif
      posecast forecast my.mp4 --compare
      posecast forecast my.mp4 --poses openpose_json --steps 128
      posecast forecast my.mp4 --pose-run runs/pose --image-run runs/image
    """

    videos: Annotated[
        tyro.conf.Positional[tuple[Path, ...]],
        tyro.conf.arg(metavar="VIDEO", help_behavior_hint=""),
    ] = ()
    """Video files of any kind, folders of them, folders of frames, or photos."""
    sample: bool = False
    """Forecast the video of a real person that ships with posecast, to see what it does."""
    pose_run: Path = Path(DEFAULT_FORECASTER)
    """Run of 'posecast train pose' or 'train motion', or shipped weights by name."""
    image_run: Path = Path(DEFAULT_DRAWER)
    """Run of 'posecast train image' or 'train carrying', or shipped weights by name."""
    frames: bool = True
    """Draw frames, or forecast the poses alone."""
    estimator_run: Path = Path(DEFAULT_ESTIMATOR)
    """What finds the poses: shipped weights by name ('posecast models'), a run of 'posecast train
    estimator', or a model file (.safetensors, .task or .onnx)."""
    poses: Path | None = None
    """Poses of another program, in place of an estimator: OpenPose's or YOLO's folder;
    JSON of COCO, AlphaPose, MMPose or MediaPipe; CSV, DeepLabCut's too (see
    docs/keypoint-files.md)."""
    out: Path | None = None
    """Video to write, .mp4 or .gif, or the folder to write to; NAME-forecast.mp4 where you are, if
    not given."""
    json: bool = False
    """Print one JSON object in place of lines for people: files, person, stages, warnings."""
    from_s: Annotated[float | None, tyro.conf.arg(name="from")] = None
    """Forecast from this second on."""
    compare: bool = False
    """Where the video goes on after --from: truth, forecast and pose side by side, the error over
    time and a verdict, as NAME-compare.mp4 and .html (with --out as that .mp4). Without --from up
    to --steps frames, at most half of the video, are left as truth. Of several videos a table of
    all comes last."""
    box: str = ""
    """Where the person is in the first frame: x,y,width,height in pixels of the video as shown."""
    person: int = 1
    """Which of several people: 1 is the one whom the video is most likely about (of several found a
    numbered picture is written), in --poses the largest and longest seen."""
    min_confidence: float = -1.0
    """Joints at least so sure count as seen, 1 being quite sure; over 1 it is percent where
    those of --poses are. -1: 0.3, with --poses what is usual for the format."""
    format: Format = "auto"
    """Format of --poses."""
    first_frame: int = -1
    """What --poses call the first frame of the video; -1: 0, or what fits the video (which is said
    then)."""
    pixels: Pixels = "auto"
    """What an .onnx file was trained on; auto takes what it says, or tries on the first frames."""
    backend: Literal["torch", "onnx"] = "torch"
    """onnx: run the networks of --onnx with onnxruntime in place of PyTorch."""
    onnx: Path = Path("onnx")
    """Folder that 'posecast export onnx' wrote, for --backend onnx."""
    mirror: bool = True
    """Estimate the mirrored picture too and average: twice the work, steadier joints."""
    config: Flat[OwnVideoConfig] = OwnVideoConfig()
    options: Flat[ForecasterOptions] = ForecasterOptions()
    follow: FollowOptions = FollowOptions()

    def __call__(self) -> int:
        outs = _outs(self)
        keep_freed_memory()
        outcomes: list[_Outcome] = []
        try:
            with shown("") as show, Stages(show).stage("loading"):
                forecaster, source = _load(self)
            loading = {"loading": time.monotonic() - STARTED}
            for video, out in outs.items():
                with shown(video.name if len(outs) > 1 else "") as show:
                    stages = Stages(show, {} if outcomes else loading)
                    outcomes.append(_attempt(self, forecaster, source, video, out, stages))
                if not self.json and not outcomes[-1].problem:
                    print(outcomes[-1].text, outcomes[-1].stages.summary(), sep="\n", flush=True)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{len(outcomes)} of {len(outs)} videos were done") from None
        compared = {each.video.name: each.compared for each in outcomes if each.compared}
        if self.json:
            print_json(_facts(outcomes) | ({"together": together(compared)} if compared else {}))
        elif len(compared) > 1:
            print(f"\n{comparisons_text(compared)}")
        failed = [each for each in outcomes if each.problem]
        if len(outs) == 1 and failed:
            raise PosecastError(failed[0].problem)
        for each in failed:
            print(f"posecast: left out: {each.problem}", file=sys.stderr)
        if not failed:
            return 0
        print(f"posecast: {len(failed)} of {len(outs)} videos failed", file=sys.stderr)
        return 1 if len(failed) < len(outs) else 2


@dataclass(frozen=True)
class _Outcome:
    """How it went with one video."""

    video: Path
    stages: Stages
    problem: str = ""
    """Why there is no forecast; "" where there is one."""
    text: str = ""
    """What people are told."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What programs are told."""
    compared: Comparison | None = None


def _outs(asked: ForecastVideo) -> dict[Path, Path]:
    """Where the forecast of each video goes; PosecastError where that is not clear."""
    videos = asked_videos((SAMPLE, *asked.videos) if asked.sample else asked.videos)
    if not videos:
        raise PosecastError("give a video to forecast, or --sample")
    if len(videos) > 1 and (asked.box or asked.poses):
        raise PosecastError("--box and --poses are of one video; forecast one at a time")
    return outs_of(videos, asked.out or Path(), "compare" if asked.compare else "forecast")


def _load(asked: ForecastVideo) -> tuple[Forecaster, EstimatedPoses | KeypointFile]:
    """PosecastError where other networks are asked for beside those that were exported."""
    box = _parse_box(asked.box)
    if asked.backend == "onnx":
        _refuse(asked, ("pixels",), "--backend torch; what was exported says it")
        of_torch = ("pose_run", "image_run", "estimator_run", "mirror")
        _refuse(asked, of_torch, "--backend torch; with onnx, give it to 'posecast export onnx'")
        loaded = load_onnx(asked.onnx, asked.frames, _least(asked), asked.options.lively)
        return loaded[0], _source(asked, loaded[0], box, loaded[1])
    _refuse(asked, ("onnx",), "--backend onnx: give that, too")
    image_run = asked.image_run if asked.frames else None
    forecaster = Forecaster.load(asked.pose_run, image_run, asked.options)
    return forecaster, _source(asked, forecaster, box)


def _refuse(asked: ForecastVideo, names: Sequence[str], needed: str) -> None:
    """PosecastError where one of these flags, which do nothing here, is given."""
    for name in names:
        if getattr(asked, name) != ForecastVideo.__dataclass_fields__[name].default:
            raise PosecastError(f"--{name.replace('_', '-')} is for {needed}")


def _parse_box(text: str) -> Box | None:
    """The box of "x,y,width,height"; None of an empty text."""
    if not text:
        return None
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise PosecastError(f"--box {text!r}: expected four numbers x,y,width,height") from None
    return x, y, width, height


def _least(asked: ForecastVideo) -> float:
    """Confidence from which joints found by an estimator count as seen."""
    return _USUAL_CONFIDENCE if asked.min_confidence < 0 else asked.min_confidence


def _source(
    asked: ForecastVideo,
    forecaster: Forecaster,
    box: Box | None,
    estimator: JointFinder | None = None,
) -> EstimatedPoses | KeypointFile:
    if asked.poses is not None:
        _refuse(asked, ("box",), "an estimator; choose among --poses with --person")
        _refuse(asked, ("estimator_run", "pixels"), "an estimator; --poses takes its place")
        options = KeypointOptions(asked.format, asked.min_confidence, asked.first_frame)
        return KeypointFile(asked.poses, options, asked.person)
    _refuse(asked, ("format", "first_frame"), "--poses FILE: give that, too")
    if estimator is None:
        run_on = (asked.options.device, asked.options.precision)
        options = EstimatorOptions(asked.mirror, _least(asked), *run_on, pixels=asked.pixels)
        estimator = load_pose_estimator(asked.estimator_run, forecaster.skeleton, options)
    return EstimatedPoses(estimator, asked.follow, box, asked.person)


def _attempt(
    asked: ForecastVideo,
    forecaster: Forecaster,
    source: EstimatedPoses | KeypointFile,
    video: Path,
    out: Path,
    stages: Stages,
) -> _Outcome:
    """Forecast one video; what is wrong with it is noted, a full disk raises."""
    given = (video, forecaster, source, out, asked.config, asked.from_s, stages)
    try:
        with memory_told(f"{video}: "):
            if asked.compare:
                found = compare_video(*given)
                files = [str(file) for file in found.files]
                facts = {"files": files, **found.comparison.facts()}
                text = f"{found.text}\n{', '.join(files)}"
                return _Outcome(video, stages, "", text, facts, found.comparison)
            result = forecast_video(*given)
    except WriteError:
        raise
    except PosecastError as error:
        return _Outcome(video, stages, str(error))
    choose = "another person: --person N, or --box; all of them: --everybody\n"
    choose = choose if result.people and not asked.config.everybody else ""
    who = "" if asked.config.everybody else "one person is forecast; "
    text = f"{out}: {result.summary()}\n{choose}{who}{_KNOWS}"
    return _Outcome(video, stages, "", text, result.facts())


def _facts(outcomes: Sequence[_Outcome]) -> dict[str, Any]:
    done = [
        {
            "video": str(each.video),
            **each.facts,
            "stages_s": {name: round(seconds, 3) for name, seconds in each.stages.seconds.items()},
        }
        for each in outcomes
        if not each.problem
    ]
    failed = [
        {"video": str(each.video), "problem": each.problem} for each in outcomes if each.problem
    ]
    return {"videos": done, "failed": failed}
