"""Whether each of several futures still looks like its action, to a classifier of pose sequences.

    python -m benchmarks.motion_realism STORE CLASSIFIER_RUN --run RUN

Of the validation clips of the paper's eight actions: share in which the classifier (a run of
`posecast train pose-action`) names the action from ten seen and up to 64 future poses, and the mean
probability that it gives it: true poses, the first of 20 futures, the other 19. Half-widths are of
95 % intervals over clips.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.markdown import give_or_take, head, row
from benchmarks.motion_table import SAMPLES
from posecast.datasets.penn_action import PAPER_ACTIONS
from posecast.evaluation.judges import load_pose_judge
from posecast.forecasting.loading import load_pose_forecaster
from posecast.geometry import px_to_crop
from posecast.metrics.pose import counted_joints
from posecast.motion.basis import HORIZON
from posecast.motion.seen import RECENT
from posecast.store.reading import ClipSelection, Store
from posecast.store.seen_windows import seen_window


def main() -> None:
    """Print a table."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    flags.add_argument("store", type=Path)
    flags.add_argument("classifier", type=Path)
    flags.add_argument("--run", type=Path, required=True)
    asked = flags.parse_args()
    judge, forecaster = load_pose_judge(asked.classifier), load_pose_forecaster(asked.run)
    clips = Store.open(asked.store).select(ClipSelection("validation", PAPER_ACTIONS))
    found = []
    for clip in clips:
        window = seen_window(clip, RECENT, HORIZON)
        past = window.past
        futures = forecaster.forecast_poses([past], HORIZON, SAMPLES)[0].joints_px
        shown = counted_joints(past.visible, window.future_visible[: window.num_truth])
        visible = np.concatenate([past.visible, shown])
        said = []
        for future in (window.future_joints_px, *futures):
            joints = np.concatenate([past.joints_px, future[: window.num_truth]])
            said.append(judge(px_to_crop(joints, clip.crop), visible))
        named = [max(each, key=each.__getitem__) == clip.action for each in said]
        chances = [each[clip.action] for each in said]
        found.append([(row[0], row[1], np.mean(row[2:])) for row in (named, chances)])
    values = np.array(found, float)
    draws = np.random.default_rng(0).integers(len(values), size=(1000, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5], axis=0)
    print(head("", "truth", "first of 20", "the other 19"))
    means, halves = 100 * values.mean(axis=0), 50 * (high - low)
    for number, what in enumerate(("action named, %", "probability, %")):
        print(row(what, *give_or_take(means[number], halves[number], 1)))


if __name__ == "__main__":
    main()
