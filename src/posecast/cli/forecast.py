"""`posecast forecast`: a video of one's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import Progress, TextColumn

from posecast.cli.parsing import parse
from posecast.computing.options import ForecasterOptions
from posecast.errors import PosecastError
from posecast.estimation import Box, EstimatorOptions, FollowOptions, load_pose_estimator
from posecast.estimation.estimator import Pixels
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.own_poses import EstimatedPoses, KeypointFile, OwnVideoConfig
from posecast.forecasting.own_video import forecast_video
from posecast.keypoints import Format, KeypointOptions
from posecast.pretrained import DEFAULT_DRAWER, DEFAULT_ESTIMATOR, DEFAULT_FORECASTER
from posecast.report.comparison import compare_video

_USUAL_CONFIDENCE = 0.3


@dataclass(frozen=True)
class ForecastVideo:
    """Forecast a video of your own: how the person in it goes on.

    Finds the person, follows it, and forecasts what comes after the last frames in which it is
    seen well, or after --from. Nothing that is shown later is looked at. Writes the video as it
    goes on, in its own size and rate, and the joints as .npz beside it. Needs nothing but the
    video: the weights that ship with posecast do it ('posecast models' lists them).

    Examples:
      posecast forecast my.mp4
      posecast forecast my.mp4 --box 120,40,90,210 --from 2.5 --panels --out future.gif
      posecast forecast my.mp4 --compare
      posecast forecast my.mp4 --poses openpose_json --steps 128
      posecast forecast my.mp4 --pose-run runs/pose --image-run runs/image
    """

    video: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="VIDEO")]
    """Any video file, or a folder of frames."""
    pose_run: Path = Path(DEFAULT_FORECASTER)
    """Run of 'posecast train pose' or 'train motion', or shipped weights by name."""
    image_run: Path = Path(DEFAULT_DRAWER)
    """Run of 'posecast train image', or shipped weights by name."""
    frames: bool = True
    """Draw frames, or forecast the poses alone."""
    estimator_run: Path = Path(DEFAULT_ESTIMATOR)
    """What finds the poses: shipped weights by name ('posecast models'), a run of 'posecast train
    estimator', or a model file (.safetensors, .task or .onnx)."""
    poses: Path | None = None
    """Poses of another program, in place of an estimator: OpenPose's folder; JSON of COCO,
    AlphaPose, MMPose or MediaPipe; CSV, DeepLabCut's too (see docs/own-videos.md)."""
    out: Path | None = None
    """Video to write, .mp4 or .gif; NAME-forecast.mp4 where you are, if not given."""
    from_s: Annotated[float | None, tyro.conf.arg(name="from")] = None
    """Forecast from this second on."""
    compare: bool = False
    """Where the video goes on after --from: truth, forecast and pose side by side, the error over
    time and a verdict, as NAME-compare.mp4 and .html (with --out as that .mp4). Without --from up
    to --steps frames, at most half of the video, are left as truth."""
    box: str = ""
    """Where the person is in the first frame: x,y,width,height in pixels of the video as shown."""
    person: int = 1
    """Which of several people: 1 is the one whom the video is most likely about (of several found a
    numbered picture is written), in --poses the largest and longest seen."""
    min_confidence: float = -1.0
    """Joints at least so sure count as seen; -1: 0.3, with --poses what is usual for the format."""
    format: Format = "auto"
    """Format of --poses."""
    first_frame: int = -1
    """What --poses call the first frame of the video; -1: 0, or what fits the video (which is said
    then)."""
    pixels: Pixels = "auto"
    """What an .onnx file was trained on; auto takes what it says, or tries on the first frames."""
    mirror: bool = True
    """Estimate the mirrored picture too and average: twice the work, steadier joints."""
    config: Annotated[OwnVideoConfig, tyro.conf.arg(name="")] = field(
        default_factory=OwnVideoConfig
    )
    options: Annotated[ForecasterOptions, tyro.conf.arg(name="")] = field(
        default_factory=ForecasterOptions
    )
    follow: FollowOptions = field(default_factory=FollowOptions)


def forecast(words: list[str], program: str) -> int:
    """`posecast forecast VIDEO`."""
    asked = parse(ForecastVideo, words, program)
    box = _parse_box(asked.box)
    forecaster = Forecaster.load(
        asked.pose_run, asked.image_run if asked.frames else None, asked.options
    )
    source = _source(asked, forecaster, box)
    out = asked.out or Path(
        f"{_stem(asked.video)}-{'compare' if asked.compare else 'forecast'}.mp4"
    )
    video = (asked.video, forecaster, source, out, asked.config, asked.from_s)
    if asked.compare:
        with _progress() as on_frame:
            text = compare_video(*video, on_frame)
        print(f"{text}\n{out}, {out.with_suffix('.html')}")
        return 0
    with _progress() as on_frame:
        result = forecast_video(*video, on_frame)
    print(f"{out}: {result.summary()}")
    return 0


def _stem(video: Path) -> str:
    """The name without suffix; of a folder all of its name."""
    return video.resolve().name if video.is_dir() else video.stem


def _parse_box(text: str) -> Box | None:
    """The box of "x,y,width,height"; None of an empty text."""
    if not text:
        return None
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise PosecastError(f"--box {text!r}: expected four numbers x,y,width,height") from None
    return x, y, width, height


def _source(
    asked: ForecastVideo, forecaster: Forecaster, box: Box | None
) -> EstimatedPoses | KeypointFile:
    if asked.poses is not None:
        if box is not None:
            raise PosecastError("--box is for an estimator; choose among --poses with --person")
        options = KeypointOptions(asked.format, asked.min_confidence, asked.first_frame)
        return KeypointFile(asked.poses, options, asked.person)
    least = _USUAL_CONFIDENCE if asked.min_confidence < 0 else asked.min_confidence
    options = EstimatorOptions(
        asked.mirror, least, asked.options.device, asked.options.precision, pixels=asked.pixels
    )
    estimator = load_pose_estimator(asked.estimator_run, forecaster.skeleton, options)
    return EstimatedPoses(estimator, asked.follow, box, asked.person)


@contextmanager
def _progress() -> Iterator[Callable[[], None]]:
    """A function to call after each frame; counts them in a terminal."""
    console = Console(stderr=True)
    column = TextColumn("looking for the person: {task.completed:.0f} frames")
    with Progress(column, console=console, transient=True, disable=not console.is_terminal) as bar:
        row = bar.add_task("", total=None)
        yield lambda: bar.advance(row)
