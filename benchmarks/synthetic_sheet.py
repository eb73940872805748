"""A contact sheet of the built-in set: one row per action, moments from left to right.

python -m benchmarks.synthetic_sheet docs/synthetic.jpg
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from posecast.datasets.drawn.clips import DrawnClip, SyntheticConfig, draw_clip
from posecast.media.pictures import contact_sheet

COLUMNS = 6


def moments(clip: DrawnClip, width: int) -> list[np.ndarray]:
    """Frames spread evenly over the clip, made smaller."""
    times = np.linspace(0, clip.pose.num_frames - 1, COLUMNS).astype(int).tolist()
    height = round(width * clip.pose.image_hw[0] / clip.pose.image_hw[1])
    frames = [clip.film.frame(time) for time in times]
    return [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--first", type=int, default=25, help="number of the first clip")
    arguments = parser.parse_args()
    config = SyntheticConfig()
    numbers = range(arguments.first, arguments.first + len(config.actions))
    rows = [moments(draw_clip(config, f"{number:04d}"), 170) for number in numbers]
    sheet = contact_sheet([frame for row in rows for frame in row], COLUMNS)
    cv2.imwrite(
        str(arguments.out), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 75]
    )


if __name__ == "__main__":
    main()
