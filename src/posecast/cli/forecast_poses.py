"""`posecast forecast-poses`: keypoints alone, without pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from posecast.cli.parsing import Command
from posecast.computing.devices import Flat, ForecasterOptions
from posecast.errors import PosecastError
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.protocols import MOST_FUTURES
from posecast.keypoints import Format, KeypointOptions
from posecast.keypoints.opening import files_read
from posecast.own_video.keypoints import forecast_keypoints, future_paths
from posecast.pretrained import DEFAULT_FORECASTER
from posecast.records.arguments import as_count
from posecast.records.files import refuse_to_replace


@dataclass(frozen=True)
class ForecastPoses(Command):
    """Forecast keypoints that another program found: how the person's joints go on.

    Reads the formats that 'posecast forecast --poses' reads (docs/keypoint-files.md lists them) and
    writes the future in the same format, frame numbers going on. No pixels are needed.

    Examples:
      posecast forecast-poses poses.csv
      posecast forecast-poses openpose_json --fps 25 --seconds 2
      posecast forecast-poses walk.trc --futures 3 --out future.trc
    """

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    """Keypoints: CSV, COCO, AlphaPose, MMPose or MediaPipe JSON, OpenPose's or YOLO's
    folder, DeepLabCut's CSV, or .trc."""
    out: Path | None = None
    """File to write (of OpenPose and YOLO a folder); NAME-future where you are, if not given.
    Further futures are NAME-future-2 and so on."""
    steps: int = 64
    """Future frames."""
    seconds: float = 0.0
    """Seconds to forecast, in place of --steps."""
    fps: float = 0.0
    """Frames a second of the file; 0: what it says (.trc), else 30."""
    futures: int = 1
    """Futures, where the pose model knows several; the likeliest comes first."""
    person: int = 1
    """Which of several people: 1 is the one who is largest and longest seen."""
    pose_run: Path = Path(DEFAULT_FORECASTER)
    """Run of 'posecast train pose' or 'train motion', or shipped weights by name."""
    format: Format = "auto"
    """Format of the file."""
    min_confidence: float = -1.0
    """Points at least so sure count as seen, 1 being quite sure; over 1 it is percent where the
    file's are. -1: what is usual for the format."""
    options: Flat[ForecasterOptions] = ForecasterOptions()

    def __call__(self) -> None:
        if self.seconds < 0 or self.fps < 0:
            raise PosecastError("--seconds and --fps must be 0 or more")
        as_count(self.futures, "futures", most=MOST_FUTURES)
        out = self.out or Path(f"{self.file.stem}-future{self.file.suffix}")
        for read in files_read(self.file):
            refuse_to_replace(read, future_paths(out, self.futures), "the file to forecast")
        forecaster = Forecaster.load(self.pose_run, None, self.options)
        options = KeypointOptions(self.format, self.min_confidence)
        future = forecast_keypoints(
            *(self.file, forecaster, self.steps, self.futures),
            *(self.fps or None, options, self.person, self.seconds or None),
        )
        paths = future.write(out)
        first = future.futures[0]
        last = first.first_frame + len(first.points) - 1
        print(
            f"{', '.join(map(str, paths))}: frames {first.first_frame} to {last} "
            f"({len(first.points) / future.fps:.2f} s)"
        )
        if future.note:
            print(future.note)
