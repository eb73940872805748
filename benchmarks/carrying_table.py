"""Drawn frames beside the last frame, of real people: how near, how sharp, who, in what pose.

    python -m benchmarks.carrying_table FOLDER --methods carried carried-refined "optical flow"
    python -m benchmarks.carrying_table FOLDER --methods carried-refined RUN --poses forecast
    python -m benchmarks.carrying_table PENN_ACTION --methods carried-refined
    python -m benchmarks.carrying_table squats.mp4 --methods carried-refined --sheets FOLDER

FOLDER holds clips/NAME.mp4, poses/NAME.csv (`posecast.keypoints.table`) and clips.csv with columns
clip and group; every fifth group in sorted order is the validation. Or it is Penn Action's, and
all clips that have frames are taken, each a group of its own. Or it is one video, whose poses
MoveNet finds. Each clip is cut to the square around all of its joints and 10 % on each side, at
128 x 128; its first 10 frames (--seen) are seen; of more than 32 the drawer gets the last 32 and 16
from before. What lies outside of the video is left out of every metric.
Means are over groups of means over clips; a second table has differences to the last frame and half
of their 95 % interval over groups (bootstrap, seed 0).

PSNR, SSIM    of the frame, SSIM in uniform windows of 7 pixels
person        PSNR within 1.25 radii of the true limbs
sharpness     gradient energy in there, as a share of the true frame's
flicker       mean change in grey levels between neighbouring drawn frames, in places farther than
              3.2 radii from the person in all frames, of clips whose camera is found to stand still
and with forecast poses
shows         % of joints that MoveNet finds in the frame within 0.1 of the body's box of where they
              were asked to be; of "true frame", of where they are
other person  distance of the mean features (MoveNet's sixth block) of the person's square in the
              drawn and in the true frame, as a share of the latter's length, in %

--each adds a row for every clip below that of all. --sheets writes a contact sheet of each clip:
methods are rows, frames ahead are columns.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float
from skimage.metrics import structural_similarity

from benchmarks.carrying_clips import SIZE, CutClip, Frames, clips_of, cut, square_around
from benchmarks.markdown import head, row
from posecast.carrying.body_parts import body_size, part_distances, pose_of
from posecast.carrying.camera import STILL, camera_path
from posecast.carrying.sources import person_mask
from posecast.estimation.estimator import EstimatorOptions, PoseEstimator
from posecast.evaluation.baselines import OpticalFlow
from posecast.evaluation.summary import bootstrap
from posecast.forecasting.loading import load_frame_drawer, load_pose_forecaster
from posecast.forecasting.protocols import MOST_PICTURES
from posecast.geometry import cut_crop
from posecast.media.grey_levels import to_network
from posecast.media.pictures import add_caption, contact_sheet
from posecast.networks.kinds import load_network
from posecast.networks.movenet import MoveNet
from posecast.pretrained import DEFAULT_ESTIMATOR, DEFAULT_FORECASTER
from posecast.skeletons import PENN_ACTION

HORIZONS = (1, 4, 8, 16, 32)
_LEAST_AHEAD, _DRAWS = 16, 1000
Numbers = dict[str, float]
ByGroup = dict[str, dict[str, Numbers]]
"""Of each clip of each group."""
Poses = tuple[Float[np.ndarray, "*t j 2"], Bool[np.ndarray, "*t j"]]


class Judge:
    """MoveNet, asked where joints are and what a person looks like."""

    def __init__(self) -> None:
        self._estimator = PoseEstimator.pretrained(options=EstimatorOptions(mirror=False))
        network = load_network(DEFAULT_ESTIMATOR, MoveNet).network
        self._blocks = torch.nn.ModuleList(network.blocks[:6])
        self._stem = network.stem

    def shows(self, frame: np.ndarray, joints: np.ndarray, visible: np.ndarray) -> float:
        """Percent of the visible joints that are found where they were asked to be."""
        size = self._estimator.size
        found = self._estimator.estimate(cv2.resize(frame, (size, size))[None])[0][0] * SIZE
        if not visible.any():
            return 0.0
        side = float((joints[visible].max(0) - joints[visible].min(0)).max())
        near = np.linalg.norm(found - joints, axis=-1) < 0.1 * side
        return float(100 * near[visible].mean())

    def numbers(self, frame: np.ndarray, asked: Poses, true: np.ndarray, came: Poses) -> Numbers:
        """What a frame shows of the pose that was asked for, and of the person who came."""
        ours, theirs = self.look(frame, *asked), self.look(true, *came)
        far = float(100 * (ours - theirs).norm() / theirs.norm())
        return {"shows": self.shows(frame, *asked), "other person": far}

    @torch.inference_mode()
    def look(self, frame: np.ndarray, joints: np.ndarray, visible: np.ndarray) -> torch.Tensor:
        """Mean features of the square around the joints."""
        picture = cut_crop(frame, square_around(joints[visible], 16), 192)
        images = to_network(torch.from_numpy(picture)[None])
        padded = torch.nn.functional.pad(images, (0, 1, 0, 1))
        features = torch.nn.functional.relu6(self._stem(padded))
        for block in self._blocks:
            features = block(features)
        return features.mean(dim=(0, 2, 3))


def measured(
    frame: np.ndarray, true: np.ndarray, inside: np.ndarray, person: np.ndarray
) -> Numbers:
    """PSNR and SSIM of the whole, PSNR and sharpness of the person."""
    error = (frame.astype(np.float32) - true) ** 2
    similar = structural_similarity(frame, true, channel_axis=2, data_range=255, full=True)[1]
    energy = [_gradient_energy(each)[(inside & person)[1:, 1:]].sum() for each in (frame, true)]
    return {
        "PSNR": _psnr(error[inside].mean()),
        "SSIM": float(similar[inside].mean()),
        "person": _psnr(error[inside & person].mean()),
        "sharpness": float(energy[0] / energy[1]),
    }


def _psnr(error: float) -> float:
    return float(10 * np.log10(255**2 / max(error, 0.01)))


def _gradient_energy(frame: np.ndarray) -> np.ndarray:
    levels = frame.astype(np.float32)
    down, right = np.diff(levels, axis=0)[:, 1:], np.diff(levels, axis=1)[1:]
    return (down**2 + right**2).sum(-1)


class Table:
    """Draws the clips by all methods and collects numbers."""

    def __init__(self, methods: tuple[str, ...], poses: Literal["true", "forecast"]) -> None:
        flow = OpticalFlow()
        self._methods = {
            name: flow if name == flow.name else load_frame_drawer(name) for name in methods
        }
        self._forecaster = load_pose_forecaster(DEFAULT_FORECASTER) if poses == "forecast" else None
        self._judge = Judge() if poses == "forecast" else None
        self.rows: dict[tuple[int, str], ByGroup] = defaultdict(lambda: defaultdict(dict))

    def add(self, clip: CutClip, group: str, clip_name: str) -> dict[str, Frames]:
        """Numbers of one clip, and the frames that they are of."""
        seen = clip.num_seen
        steps = min(max(HORIZONS) + 2, len(clip.frames) - seen)
        after = slice(seen, seen + steps)
        wanted = (clip.joints[after], clip.visible[after])
        if self._forecaster is not None:
            said = self._forecaster.forecast_poses([clip.seen], steps)[0]
            wanted = ((said.joints_px[0] / clip.scale).astype(np.float32), said.visible)
        last = clip.frames[seen - 1]
        drawn = {"true frame": clip.frames[after], "last frame": np.repeat(last[None], steps, 0)}
        for name, method in self._methods.items():
            if isinstance(method, OpticalFlow):
                drawn[name] = method.predict_frames(clip.seen, steps)
                continue
            drawn[name] = method.draw_frames(clip.seen, wanted[0] * clip.scale, wanted[1])
            mixed = (drawn[name].astype(int) + last + 1) // 2
            drawn[f"ghost of {name}"] = mixed.astype(np.uint8)
        for name, frames in drawn.items():
            for ahead, numbers in self._measured(name, frames, clip, wanted):
                self.rows[ahead, name][group][clip_name] = numbers
        return drawn

    def above_last(self, metric: str, method: str) -> Iterator[str]:
        """At each horizon the mean difference to the last frame, and half of its 95 % interval."""
        for ahead in HORIZONS:
            ours, last = (self.rows[ahead, name] for name in (method, "last frame"))
            groups = [
                np.mean([n[metric] - last[group][clip][metric] for clip, n in rows.items()])
                for group, rows in ours.items()
            ]
            if not groups:
                yield ""
                continue
            digits = 3 if metric == "SSIM" else 2
            mean = f"{np.mean(groups):+.{digits}f}"
            if len(groups) == 1:  # which says nothing of others
                yield mean
                continue
            drawn = bootstrap(len(groups), _DRAWS, seed=0) @ groups / len(groups)
            low, high = np.percentile(drawn, (2.5, 97.5))
            yield f"{mean} +-{(high - low) / 2:.{digits}f}"

    def _measured(
        self, name: str, frames: Frames, clip: CutClip, wanted: Poses
    ) -> Iterator[tuple[int, Numbers]]:
        size = body_size(clip.joints, clip.visible, PENN_ACTION)
        poses = pose_of(clip.joints, clip.visible, PENN_ACTION, size)
        last = clip.num_seen - 1
        every = range(clip.num_seen + len(frames))
        nearest = np.stack([part_distances(poses[t], SIZE, size).min(0) for t in every])
        known = slice(max(clip.num_seen - MOST_PICTURES, 0), clip.num_seen)
        stands = camera_path(clip.frames[known], person_mask(nearest[known]))[1] is STILL
        nearest = nearest[last:]
        still = clip.inside & (nearest.min(axis=0) > 3.2) & stands
        for ahead in (k for k in HORIZONS if k <= len(frames)):
            true, frame = clip.frames[last + ahead], frames[ahead - 1]
            joints, seen = clip.joints[last + ahead], clip.visible[last + ahead]
            if seen.sum() < 6:
                continue
            numbers = measured(frame, true, clip.inside, nearest[ahead] < 1.25)
            if ahead > 1 and still.any():
                change = np.abs(frame.astype(int) - frames[ahead - 2])[still]
                numbers["flicker"] = float(change.mean())
            asked = (joints, seen)
            if name != "true frame":
                asked = (wanted[0][ahead - 1], wanted[1][ahead - 1] & seen)
            if self._judge is not None and not name.startswith("ghost"):
                numbers |= self._judge.numbers(frame, asked, true, (joints, seen))
            yield ahead, numbers


def write_sheet(drawn: dict[str, Frames], path: Path) -> None:
    """A row a method, under the true frames."""
    tiles = [
        add_caption(frames[ahead - 1], f"{name}, k = {ahead}")
        for name, frames in drawn.items()
        for ahead in HORIZONS
        if ahead <= len(frames) and not name.startswith("ghost")
    ]
    columns = sum(ahead <= len(drawn["true frame"]) for ahead in HORIZONS)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = cv2.cvtColor(contact_sheet(tiles, columns), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(path), sheet, [cv2.IMWRITE_JPEG_QUALITY, 80])


GIVEN = ("true frame", "last frame")
ABOVE = ("PSNR", "SSIM", "person")
"""Metrics whose differences to the last frame are given with intervals, too."""
METRICS = ("PSNR", "SSIM", "person", "sharpness", "flicker", "shows", "other person")


def main(
    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")],
    methods: tuple[str, ...] = ("carried",),
    poses: Literal["true", "forecast"] = "true",
    seen: int = 10,
    each: bool = False,
    sheets: Path | None = None,
) -> None:
    """Print the table as Markdown.

    Args:
        folder: clips, poses and clips.csv; or Penn Action; or a video.
        methods: shipped weights, run folders or weight files that draw frames, or "optical flow".
        poses: which ones are drawn: those that came, or those of the forecaster that ships.
        seen: frames that are seen; clips that have no 16 more are left out.
        each: a row for every clip too.
        sheets: folder for contact sheets.
    """
    table = Table(methods, poses)
    for name, group, frames, joints, visible in clips_of(folder):
        if len(frames) < seen + _LEAST_AHEAD:
            continue
        drawn = table.add(cut(frames, joints, visible, seen), group, name)
        if sheets is not None:
            write_sheet(drawn, sheets / f"{name}.jpg")
    _print(table, each)


def _print(table: Table, each: bool) -> None:
    print(head("k", "method", "clips", *METRICS, "better than the last frame, %"))
    for (ahead, method), by_group in sorted(table.rows.items()):
        last = table.rows[ahead, "last frame"]
        print(row(ahead, method, *cells(by_group, last)), flush=True)
        singles = [(g, name, n) for g, rows in by_group.items() for name, n in rows.items()]
        for group, name, numbers in singles if each else ():
            alone = cells({group: {name: numbers}}, last)
            print(row(ahead, f"{method}: {name}", *alone), flush=True)
    print("\n" + head("above the last frame, k =", *HORIZONS))
    for metric in ABOVE:
        for method in dict.fromkeys(name for _, name in table.rows if name not in GIVEN):
            print(row(f"{metric}: {method}", *table.above_last(metric, method)))


def cells(by_group: ByGroup, last: ByGroup) -> list[str]:
    """Of some clips: how many they are, means, and the share that is better than the last."""
    shown = []
    for metric in METRICS:
        groups = [[n[metric] for n in rows.values() if metric in n] for rows in by_group.values()]
        means = [np.mean(values) for values in groups if values]
        shown.append(f"{np.mean(means):.3f}" if means else "")
    pairs = [(n, last[group][name]) for group, r in by_group.items() for name, n in r.items()]
    better = [ours["PSNR"] > theirs["PSNR"] for ours, theirs in pairs]
    return [str(len(better)), *shown, f"{100 * np.mean(better):.0f}"]


if __name__ == "__main__":
    tyro.cli(main)
