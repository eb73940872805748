"""`posecast synthesize`: the built-in data set, and drawn videos for the poses of another;
`posecast prepare ...`: a data set -> a store. One class and one row of COMMANDS each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from posecast.cli.parsing import Command
from posecast.clips import ClipSource
from posecast.computing.devices import Flat
from posecast.datasets.drawn.clips import DrawnSet, SyntheticConfig
from posecast.datasets.drawn.human36m import DrawnVideosConfig, draw_human36m
from posecast.datasets.drawn.people import write_penn_layout
from posecast.datasets.human36m import Human36M
from posecast.datasets.penn_action import PennAction
from posecast.datasets.videos import OwnVideos
from posecast.errors import PosecastError
from posecast.estimation import EstimatorOptions, load_pose_estimator
from posecast.estimation.folders import estimate_folder
from posecast.pretrained import DEFAULT_ESTIMATOR
from posecast.skeletons import SKELETONS
from posecast.store.preparation import PreparationConfig, prepare


@dataclass(frozen=True)
class Synthesize(Command):
    """Draw the built-in data set, in the layout of Penn Action, to be prepared like it.

    The same command again goes on where it stopped.

    Examples:
      posecast synthesize data
      posecast synthesize data --num-clips 8 --seed 1
      posecast synthesize data --poses Penn_Action/labels
    """

    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """Folder for frames and labels."""
    config: Flat[SyntheticConfig] = SyntheticConfig()
    workers: int = 1
    """Processes at work."""

    def __call__(self) -> int:
        done = write_penn_layout(self.config, self.out, self.workers)
        return _tell(self.out, done, "clips")


def _tell(out: Path, done: DrawnSet, what: str) -> int:
    print(f"{out}: {len(done.drawn)} {what} drawn, {len(done.kept)} were there already")
    for clip_id, problem in done.left_out.items():
        print(f"  left out {clip_id}: {problem}")
    return 0


@dataclass(frozen=True)
class SynthesizeHuman36M(Command):
    """Draw the videos of Human3.6M from its poses, where the real ones cannot be had.

    OUT becomes a folder like RAW with a drawn video for every pose file (1000 x 1002 pixels, 50
    frames a second; about a minute of work for a thousand frames) and a copy of the pose files.
    The same command again goes on where it stopped.

    Examples:
      posecast synthesize human36m Human3.6M drawn
      posecast synthesize human36m Human3.6M drawn --clips S1_Posing.54138969 S9_Posing.54138969
      posecast synthesize human36m Human3.6M short --num-frames 300
    """

    raw: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RAW")]
    """Folder of the data set; only its poses are looked at."""
    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """Folder for videos and copied poses."""
    config: Flat[DrawnVideosConfig] = DrawnVideosConfig()
    workers: int = 1
    """Processes at work; 0 means one per CPU core."""

    def __call__(self) -> int:
        done = draw_human36m(self.raw, self.out, self.config, self.workers)
        return _tell(self.out, done, "videos")


@dataclass(frozen=True)
class PreparePennAction(Command):
    """Make a store of Penn Action: one crop a clip, cut out, resized, with its poses.

    RAW holds labels/0001.mat ... and, for clips with pictures, frames/0001/000001.jpg ...; labels
    without frames give clips with poses only. The same command again goes on where it stopped.
    The default crop is the paper's: it looks at the boxes of the whole clip, so it knows something
    of the future; --crop seen looks at the first frames alone.

    Examples:
      posecast prepare penn-action Penn_Action store
      posecast prepare penn-action Penn_Action small --clips 0050 0280 --size 64
    """

    raw: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RAW")]
    """Folder of the data set."""
    store: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="STORE")]
    """Folder for the store."""
    config: Flat[PreparationConfig] = PreparationConfig()

    def __call__(self) -> int:
        return _prepare(PennAction(self.raw), self.store, self.config)


@dataclass(frozen=True)
class PrepareHuman36M(Command):
    """Make a store of Human3.6M: one crop a clip, cut out of the video, resized, with its poses.

    RAW holds S1/MyPoseFeatures/D2_Positions/*.cdf (or .mat files made from them) and, for clips
    with pictures, S1/Videos/*.mp4, likewise for S5 S6 S7 S8 (training) and S9 S11 (test). A
    subject without the folder Videos gives clips with poses only. The same command again goes on
    where it stopped. The default crop is the paper's: it looks at the joints of the whole clip,
    so it knows something of the future; --crop seen looks at the first frames alone.

    Examples:
      posecast prepare human36m Human3.6M store
      posecast prepare human36m Human3.6M store50 --every 1
      posecast prepare human36m Human3.6M poses --poses-only
      posecast prepare human36m Human3.6M small --clips S9_Walking_1.54138969 --size 64
    """

    raw: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RAW")]
    """Folder of the data set."""
    store: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="STORE")]
    """Folder for the store."""
    every: int = 4
    """Keep every n-th frame: 4 gives 12.5 frames a second (paper), 1 all 50."""
    poses_only: bool = False
    """Leave the videos alone, even where they are there."""
    config: Flat[PreparationConfig] = PreparationConfig(crop="tube", margin_px=20)

    def __call__(self) -> int:
        source = Human36M(self.raw, self.every, self.poses_only)
        return _prepare(source, self.store, self.config)


@dataclass(frozen=True)
class PrepareVideos(Command):
    """Make a store of your own videos, to train on.

    FOLDER holds [train/ or test/][ACTION/]NAME.mp4; cut videos into clips of a few seconds in
    which one person does one thing. Poses come from keypoints of another program, laid out alike
    in --poses (NAME.csv, NAME.json or a folder NAME), or from --estimator-run, which writes them
    there as CSV first (default: STORE-poses). Each clip is cropped by its first seen frames alone.
    The same command again goes on where it stopped; clips whose video or poses were changed since
    are made again.

    Examples:
      posecast prepare videos clips store --poses keypoints
      posecast prepare videos clips store --estimator-run runs/estimator --size 64
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """Folder of the videos."""
    store: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="STORE")]
    """Folder for the store."""
    poses: Path | None = None
    """Folder of their poses."""
    estimator_run: Path = Path(DEFAULT_ESTIMATOR)
    """What finds them, where --poses are not given: shipped weights by name ('posecast models'), a
    run of 'posecast train estimator', or a model file (.safetensors, .task or .onnx)."""
    skeleton: Literal["penn_action", "human36m", "coco"] = "penn_action"
    """Skeleton that poses are mapped to by joint names."""
    fps: float = 30.0
    """Frames a second of the store's clips."""
    person: int = 1
    """Which of several people in --poses: 1 is the largest and longest seen."""
    first_frame: int = -1
    """What the files in --poses call the first frame of a video; -1: 0, or what fits the video."""
    config: Flat[PreparationConfig] = PreparationConfig(crop="seen", resize="area")
    estimator: EstimatorOptions = EstimatorOptions()

    def __call__(self) -> int:
        if self.config.crop != "seen":
            raise PosecastError(
                f"--crop {self.config.crop} looks at whole clips: it knows what it should "
                "forecast. Own videos are cropped by their seen frames (--crop seen)"
            )
        store = self.store if self.store.name.strip(".") else self.store.resolve()
        poses = self.poses or store.with_name(store.name + "-poses")
        source = OwnVideos(
            self.folder, poses, self.fps, self.skeleton, self.person, self.first_frame
        )
        if self.poses is None or str(self.estimator_run) != DEFAULT_ESTIMATOR:
            _estimate(self, poses)
        return _prepare(source, self.store, self.config)


def _estimate(asked: PrepareVideos, poses: Path) -> None:
    skeleton = SKELETONS[asked.skeleton]
    estimator = load_pose_estimator(asked.estimator_run, skeleton, asked.estimator)
    if estimator.skeleton != skeleton:
        raise PosecastError(
            f"the estimator finds joints of skeleton {estimator.skeleton.name}: "
            f"give --skeleton {estimator.skeleton.name}"
        )
    left_out = estimate_folder(
        *(asked.folder, poses, estimator),
        on_video=lambda video: print(f"poses of {video}"),
        on_older=lambda video, known: print(
            f"{video} is younger than {known}: remove that where its poses are to be found again"
        ),
    )
    for problem in left_out.values():
        print(f"  left out: {problem}")


def _prepare(source: ClipSource, store: Path, config: PreparationConfig) -> int:
    report = prepare(source, store, config)
    print(report.summary())
    return 1 if config.strict and report.left_out else 0
