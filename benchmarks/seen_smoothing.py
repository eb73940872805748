"""Whether smoothing the seen joints, without lag, or filling where they are hidden for a while,
makes forecasts of real videos better.

    python -m benchmarks.seen_smoothing TRACKS.npz [--run RUN] [--seen all ten] [--out FILE.json]

Windows are those of `motion_table` (every second of the groups held out, all seen and ten seen);
the truth is never smoothed. Each smoother sees the seen frames alone; "last pose raw" leaves the
last frame as it was found. Distances are shares of those of the forecast from raw joints, with
half-widths of 95 % intervals over groups, so that under 1 is better.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.signal import savgol_filter

from benchmarks.markdown import give_or_take, head, row
from benchmarks.motion_judged import KS, Sums, Window, last_pose, shares, video_windows
from posecast.forecasting.loading import load_pose_forecaster
from posecast.forecasting.protocols import TrainedPoseForecaster
from posecast.motion.basis import FPS, HORIZON
from posecast.motion.seen import RECENT
from posecast.pretrained import DEFAULT_FORECASTER

Track = Float[np.ndarray, "t n"]
Smoother = Callable[[Track], Track]
"""Coordinates of joints over time, in sizes of the body -> the same, smoother."""


def savitzky_golay(length: int) -> Smoother:
    """A parabola through `length` frames around each; the ends lie on the outermost parabola."""

    def smooth(track: Track) -> Track:
        window = min(length, len(track) - 1 + len(track) % 2)
        return np.asarray(savgol_filter(track, window, 2, axis=0)) if window > 2 else track

    return smooth


def one_euro(cutoff_hz: float, slope: float) -> Smoother:
    """The One-Euro filter (Casiez et al., CHI 2012) forwards and backwards, the mean of both."""

    def forward(track: Track) -> Track:
        result, speed = [track[0]], np.zeros_like(track[0])
        for value in track[1:]:
            speed += _gain(1.0) * ((value - result[-1]) * FPS - speed)
            result.append(
                result[-1] + _gain(cutoff_hz + slope * np.abs(speed)) * (value - result[-1])
            )
        return np.stack(result)

    return lambda track: (forward(track) + forward(track[::-1])[::-1]) / 2


def _gain(cutoff_hz: float | np.ndarray) -> float | np.ndarray:
    turn = 2 * np.pi * cutoff_hz / FPS
    return turn / (turn + 1)


def kalman(noise: float, acceleration: float) -> Smoother:
    """Rauch-Tung-Striebel with constant velocity: found places off by `noise` bodies, a change of
    velocity of `acceleration` bodies a frame and frame."""
    step = np.array([[1.0, 1.0], [0.0, 1.0]])
    drive = acceleration**2 * np.array([[0.25, 0.5], [0.5, 1.0]])

    def smooth(track: Track) -> Track:
        state, spread = np.stack([track[0], np.zeros_like(track[0])]), np.diag([noise**2, 0.1])
        states, spreads = [state], [spread]
        for value in track[1:]:
            ahead, wide = step @ state, step @ spread @ step.T + drive
            gain = wide[:, :1] / (wide[0, 0] + noise**2)
            state, spread = ahead + gain * (value - ahead[0]), wide - gain @ wide[:1]
            states.append(state)
            spreads.append(spread)
        result = [states[-1]]
        for state, spread in zip(states[-2::-1], spreads[-2::-1], strict=True):
            wide = step @ spread @ step.T + drive
            back = spread @ step.T @ np.linalg.inv(wide)
            result.append(state + back @ (result[-1] - step @ state))
        return np.stack([each[0] for each in result[::-1]])

    return smooth


SMOOTHERS: dict[str, Smoother] = {
    "Savitzky-Golay, 5 frames": savitzky_golay(5),
    "Kalman, 0.5 % noise": kalman(0.005, 0.005),
    "One-Euro both ways, 6 Hz + 20": one_euro(6.0, 20.0),
    "Savitzky-Golay, 9 frames": savitzky_golay(9),
    "Kalman, 1 % noise": kalman(0.01, 0.005),
    "One-Euro both ways, 3 Hz + 10": one_euro(3.0, 10.0),
    "Savitzky-Golay, 7 frames": savitzky_golay(7),
    "Savitzky-Golay, 13 frames": savitzky_golay(13),
    "Kalman, 2 % noise": kalman(0.02, 0.005),
}

LONGEST_BRIDGED = 2, 5, 10, 30


def smoothed(window: Window, smoother: Smoother, keep_last: bool) -> Window:
    """The window with its visible joints smoothed; hidden frames are bridged, not shown."""
    joints, visible = window.seen.joints_px.copy(), window.seen.visible
    frames = np.arange(len(joints))
    for joint in np.flatnonzero(visible.sum(axis=0) > 2):
        shown = visible[:, joint]
        track = [np.interp(frames, frames[shown], joints[shown, joint, axis]) for axis in (0, 1)]
        track = smoother(np.stack(track, axis=1) / window.side_px) * window.side_px
        joints[shown, joint] = track[shown]
    if keep_last:
        joints[-1] = window.seen.joints_px[-1]
    return dataclasses.replace(window, seen=dataclasses.replace(window.seen, joints_px=joints))


def bridged(window: Window, longest: int) -> Window:
    """The window with joints that are hidden for so many frames at most shown evenly between."""
    joints, visible = window.seen.joints_px.copy(), window.seen.visible.copy()
    for joint in range(joints.shape[1]):
        for before, after in pairwise(np.flatnonzero(window.seen.visible[:, joint])):
            if 1 < after - before <= longest + 1:
                ends = joints[before, joint], joints[after, joint]
                between = np.linspace(*ends, after - before + 1)
                joints[before : after + 1, joint] = between
                visible[before:after, joint] = True
    seen = dataclasses.replace(window.seen, joints_px=joints, visible=visible)
    return dataclasses.replace(window, seen=seen)


def measure(
    name: str, windows: Sequence[Window], forecaster: TrainedPoseForecaster
) -> dict[str, list[list[float]]]:
    """Print one table, and give its numbers."""
    groups = [each.group for each in windows]

    def sums(given: Sequence[Window]) -> Sums:
        said = [forecaster.forecast_poses([each.seen], HORIZON)[0].joints_px[0] for each in given]
        return Sums.of(windows, said)

    raw, table = sums(windows), {}
    print(f"\n## {name}: {len(windows)} windows of {len(set(groups))} groups\n")
    print(head("", *(f"k = {k}" for k in KS)))

    def add(label: str, pair: tuple[np.ndarray, np.ndarray], scale: float = 1) -> None:
        table[label] = [(scale * each).tolist() for each in pair]
        means, halves = (scale * each[np.array(KS) - 1] for each in pair)
        print(row(label, *give_or_take(means, halves, 3)), flush=True)

    add("raw, distance %", shares(raw.error, raw.count, groups), 100)
    still = Sums.of(windows, last_pose(windows))
    add("last pose", shares(still.error, raw.error, groups))
    for longest in LONGEST_BRIDGED:
        given = [bridged(each, longest) for each in windows]
        add(f"up to {longest} hidden frames filled", shares(sums(given).error, raw.error, groups))
    for label, smoother in SMOOTHERS.items():
        for keep_last in (False, True):
            given = [smoothed(each, smoother, keep_last) for each in windows]
            which = f"{label}, last pose raw" if keep_last else label
            add(which, shares(sums(given).error, raw.error, groups))
    return table


def main() -> None:
    """Both tables."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    flags.add_argument("tracks", type=Path)
    flags.add_argument("--run", default=DEFAULT_FORECASTER)
    flags.add_argument("--seen", nargs="*", choices=("all", "ten"), default=("all", "ten"))
    flags.add_argument("--out", type=Path)
    asked = flags.parse_args()
    forecaster = load_pose_forecaster(asked.run)
    tables = {
        seen: measure(f"{seen} seen", video_windows(asked.tracks, count), forecaster)
        for seen, count in (("all", None), ("ten", RECENT))
        if seen in asked.seen
    }
    if asked.out:
        asked.out.write_text(json.dumps(tables, indent=1))


if __name__ == "__main__":
    main()
