"""Is the person found without a box, kept to the end, and nobody where nobody is?

    python -m benchmarks.find_people raw store movenet-lightning --split test

Follows each clip of the split from whole frames, without a box, and says PCK@0.2 of the labelled
joints (frames in which nobody was found count as wrong) and frames a second. Then looks at the
first frame's parts left and right of the person that are at least 120 pixels wide, in which nobody
is. `raw` is in Penn Action's layout.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from posecast.datasets.penn_action import PennAction
from posecast.estimation import Followed, follow, load_pose_estimator
from posecast.metrics.pose import joint_distances
from posecast.store.reading import ClipSelection, Store, StoredClip

MIN_WIDTH_PX = 120
ROOM_PX = 10
NEAR = 0.2


def main() -> None:
    """Count, and print a line for each clip and for all."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    for name in ("raw", "store"):
        flags.add_argument(name, type=Path)
    flags.add_argument("estimator")
    flags.add_argument("--split", default="validation", choices=("train", "validation", "test"))
    asked = flags.parse_args()
    store, source = Store.open(asked.store), PennAction(asked.raw)
    estimator = load_pose_estimator(asked.estimator, store.skeleton)
    hits, labels, parts, wrong = 0, 0, 0, 0
    for clip in store.select(ClipSelection(split=asked.split, with_frames=True)):
        frames = list(source.read_frames(clip.clip_id) or ())
        began = time.perf_counter()
        followed = follow(frames, estimator)
        speed = len(frames) / (time.perf_counter() - began)
        near = _near(followed, clip)
        hits, labels = hits + near, labels + int(clip.visible.sum())
        empty = _parts_without_person(frames[0], clip)
        parts += len(empty)
        wrong += sum(int(follow([part], estimator).found[0]) for part in empty)
        print(
            f"{clip.clip_id} PCK@{NEAR} {100 * near / clip.visible.sum():.1f}, lost "
            f"{int((~followed.found).sum())} of {len(frames)}, {speed:.0f} frames a second"
        )
    print(f"all: PCK@{NEAR} {100 * hits / labels:.1f} of {labels} labelled joints")
    print(f"somebody in {wrong} of {parts} parts without a person")


def _near(followed: Followed, clip: StoredClip) -> int:
    """Labelled joints that were found near enough."""
    distances = joint_distances(followed.joints_px, clip.joints_px.astype(float), clip.box_side_px)
    return int((clip.visible & followed.found[:, None] & (distances < NEAR)).sum())


def _parts_without_person(frame: np.ndarray, clip: StoredClip) -> list[np.ndarray]:
    left, right = int(clip.box_px[0]) - ROOM_PX, int(clip.box_px[2]) + ROOM_PX
    parts = (frame[:, : max(left, 0)], frame[:, right:])
    return [np.ascontiguousarray(part) for part in parts if part.shape[1] >= MIN_WIDTH_PX]


if __name__ == "__main__":
    main()
