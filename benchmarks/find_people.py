"""Does a search without a box find the person, and nobody where nobody is?

    python benchmarks/find_people.py raw store estimator --split test

Looks at the first frame of each clip of the split: the whole frame, and the parts left and right of
the person that are at least 120 pixels wide, in which nobody is. `raw` is in Penn Action's layout.
"""

import argparse
from pathlib import Path

import numpy as np

from posecast.datasets.penn_action import PennAction
from posecast.estimation import PoseEstimator, follow
from posecast.store.reading import ClipSelection, Store, StoredClip

MIN_WIDTH_PX = 120
ROOM_PX = 10


def main() -> None:
    """Count, and print one line."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("raw", "store", "run"):
        flags.add_argument(name, type=Path)
    flags.add_argument("--split", default="validation", choices=("train", "validation", "test"))
    asked = flags.parse_args()
    estimator, source = PoseEstimator.load(asked.run), PennAction(asked.raw)
    found = right = parts = wrong = 0
    clips = Store.open(asked.store).select(ClipSelection(split=asked.split, with_frames=True))
    for clip in clips:
        frame = next(iter(source.read_frames(clip.clip_id) or ()))
        followed = follow([frame], estimator)
        found += int(followed.found[0])
        right += int(followed.found[0] and _is_right(followed.joints_px[0], clip))
        empty = _parts_without_person(frame, clip)
        parts += len(empty)
        wrong += sum(int(follow([part], estimator).found[0]) for part in empty)
    print(
        f"{found} of {len(clips)} people found, {right} right; "
        f"somebody in {wrong} of {parts} parts without a person"
    )


def _is_right(joints_px: np.ndarray, clip: StoredClip) -> bool:
    """Whether 70 % of the labelled joints are within 0.2 of the box."""
    distance = np.linalg.norm(joints_px - clip.joints_px[0], axis=-1) / clip.box_side_px
    return bool((distance[clip.visible[0]] < 0.2).mean() > 0.7)


def _parts_without_person(frame: np.ndarray, clip: StoredClip) -> list[np.ndarray]:
    left, right = int(clip.box_px[0]) - ROOM_PX, int(clip.box_px[2]) + ROOM_PX
    parts = (frame[:, : max(left, 0)], frame[:, right:])
    return [np.ascontiguousarray(part) for part in parts if part.shape[1] >= MIN_WIDTH_PX]


if __name__ == "__main__":
    main()
