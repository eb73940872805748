"""Stage by stage: `posecast forecast` on some seconds of 720p, made of the sample.

    python -m benchmarks.own_video --repeats 3
    python -m benchmarks.own_video --seconds 180 --repeats 1

The sample (640 x 360) is scaled up and goes forwards and back until it is 5 seconds long. Each
repeat is a program of its own, as a user starts it; the last line has the medians.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import cv2

from posecast.media.videos import read_video
from posecast.media.writing import write_mp4
from posecast.sample import SAMPLE

HW, FPS = (720, 1280), 30.0


def write_video(path: Path, seconds: float) -> None:
    """The sample in 720p, so long."""
    frames = [cv2.resize(f, HW[::-1], interpolation=cv2.INTER_CUBIC) for f in read_video(SAMPLE)]
    endless = itertools.cycle(frames + frames[::-1])
    write_mp4(path, itertools.islice(endless, round(seconds * FPS)), FPS)


def time_stages(video: Path, out: Path, options: list[str]) -> dict[str, float]:
    """Seconds by stage of one run."""
    words = ["forecast", str(video), "--out", str(out), "--json", *options]
    command = [sys.executable, "-m", "posecast", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)["videos"][0]["stages_s"]


def main() -> None:
    """Print each run and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--repeats", type=int, default=3)
    asked, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "sample720.mp4"
        write_video(video, asked.seconds)
        runs = [time_stages(video, Path(folder) / "out.mp4", options) for _ in range(asked.repeats)]
    runs.append({name: median(run[name] for run in runs) for name in runs[0]})
    for run in runs:
        shown = ", ".join(f"{name} {seconds:.2f}" for name, seconds in run.items())
        print(f"{sum(run.values()):.1f} s: {shown}")


if __name__ == "__main__":
    main()
