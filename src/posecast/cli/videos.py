"""`posecast prepare videos`: a folder of one's own videos -> a store."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from posecast.cli.parsing import parse
from posecast.computing.options import Flat
from posecast.datasets.videos import OwnVideos
from posecast.errors import PosecastError
from posecast.estimation import EstimatorOptions, load_pose_estimator
from posecast.estimation.folders import estimate_folder
from posecast.pretrained import DEFAULT_ESTIMATOR
from posecast.skeletons import SKELETONS
from posecast.store.preparation import PreparationConfig, prepare


@dataclass(frozen=True)
class PrepareVideos:
    """Make a store of your own videos, to train on.

    FOLDER holds [train/ or test/][ACTION/]NAME.mp4; cut videos into clips of a few seconds in
    which one person does one thing. Poses come from keypoints of another program, laid out alike
    in --poses (NAME.csv, NAME.json or a folder NAME), or from --estimator-run, which writes them
    there as CSV first (default: STORE-poses). Each clip is cropped by its first seen frames alone.
    The same command again goes on where it stopped.

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


def prepare_videos(words: list[str], program: str) -> int:
    """`posecast prepare videos FOLDER STORE (--poses POSES | --estimator-run RUN)`."""
    asked = parse(PrepareVideos, words, program)
    if asked.config.crop != "seen":
        raise PosecastError(
            f"--crop {asked.config.crop} looks at whole clips: it knows what it should forecast. "
            "Own videos are cropped by their seen frames (--crop seen)"
        )
    poses = asked.poses or asked.store.with_name(asked.store.name + "-poses")
    source = OwnVideos(
        *(asked.folder, poses, asked.fps, asked.skeleton, asked.person, asked.first_frame)
    )
    if asked.poses is None or str(asked.estimator_run) != DEFAULT_ESTIMATOR:
        _estimate(asked, poses)
    report = prepare(source, asked.store, asked.config)
    print(report.summary())
    return 1 if report.failed else 0


def _estimate(asked: PrepareVideos, poses: Path) -> None:
    skeleton = SKELETONS[asked.skeleton]
    estimator = load_pose_estimator(asked.estimator_run, skeleton, asked.estimator)
    if estimator.skeleton != skeleton:
        raise PosecastError(
            f"the estimator finds joints of skeleton {estimator.skeleton.name}: "
            f"give --skeleton {estimator.skeleton.name}"
        )
    left_out = estimate_folder(
        asked.folder, poses, estimator, on_video=lambda video: print(f"poses of {video}")
    )
    for problem in left_out.values():
        print(f"  left out: {problem}")
