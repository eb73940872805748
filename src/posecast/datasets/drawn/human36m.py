"""Drawn videos for Human3.6M poses: people in a hall who move as the real actors did.

The videos were never free to pass on, and their poses alone say nothing of pictures. With drawn
ones the whole chain can be tried out at the data set's real size, rate and motion:

    OUT/drawn.json                              the settings, so that sets are not mixed
    OUT/S1/Videos/Walking 1.54138969.mp4        drawn
    OUT/S1/MyPoseFeatures/D2_Positions/...cdf   the pose file it was drawn from, copied
"""

import dataclasses
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import scipy.io

from posecast.clips import PoseClip
from posecast.datasets.drawn.clips import DRAWING_VERSION, DrawnSet, draw_missing
from posecast.datasets.drawn.figure import POINTS, Figure
from posecast.datasets.drawn.film import PADDING, Camera, Film, film
from posecast.datasets.drawn.labels import label_figure
from posecast.datasets.drawn.scenery import draw_scenery
from posecast.datasets.drawn.wardrobe import random_person
from posecast.datasets.human36m import FPS, Human36M
from posecast.errors import PosecastError
from posecast.media.writing import write_mp4
from posecast.records.configs import check_at_least, claim_folder
from posecast.records.files import make_folder, write_safely
from posecast.skeletons import HUMAN36M, PENN_ACTION, other_side

_SETTINGS = "drawn.json"
_FLOOR, _BODY = 0.55, 0.4
"""Where the feet are in most pictures, and how large a body is, as shares of their height."""
_CRF = 23


@dataclass(frozen=True)
class DrawnVideosConfig:
    """Which videos to draw, and how."""

    clips: tuple[str, ...] = ()
    """Only these, such as S1_Walking_1.54138969; empty means all that have poses."""
    num_frames: int | None = None
    """Only the first frames; by default whole clips, which are minutes of work each."""
    seed: int = 0
    """Every seed gives other people and another hall."""

    def __post_init__(self) -> None:
        if self.num_frames is not None:
            check_at_least(2, self, "num_frames")
        check_at_least(0, self, "seed")


def draw_human36m(raw: Path, out: Path, config: DrawnVideosConfig, workers: int = 1) -> DrawnSet:
    """Draw a video for every pose file of a Human3.6M folder into another such folder.

    The same call again goes on where it stopped; 0 workers means one per CPU core. PosecastError
    where `raw` holds no poses, a clip is unknown, or `out` holds something else.
    """
    source = Human36M(raw, every=1, poses_only=True)
    known = source.clip_ids()
    unknown = sorted(set(config.clips) - set(known))
    if unknown:
        raise PosecastError(
            f"no poses of {', '.join(unknown[:3])} in {raw}; there are {known[:3]}..."
        )
    settings = {"drawing_version": DRAWING_VERSION, "raw": str(raw.resolve()), **asdict(config)}
    del settings["clips"]  # a clip does not depend on which others are drawn
    claim_folder(out / _SETTINGS, settings, "drawn videos")
    draw = _DrawVideo(source, out, config)
    wanted = sorted(config.clips) or known
    kept = [clip_id for clip_id in wanted if draw.video(clip_id).is_file()]
    return draw_missing(draw, wanted, kept, workers)


def drawn_film(pose: PoseClip, seed: int) -> Film:
    """The pictures of one clip; a subject always looks alike, a camera always sees one hall."""
    subject, camera = pose.clip_id.split("_")[0], pose.clip_id.rsplit(".", 1)[-1]
    person = random_person("", np.random.default_rng([seed, 1, int(subject.removeprefix("S"))]))
    hall = np.random.default_rng([seed, 2, int(camera)])
    height, width = pose.image_hw
    pad = round(PADDING * height), round(PADDING * width)
    hw, floor = (height + 2 * pad[0], width + 2 * pad[1]), _FLOOR * height + pad[0]
    scenery = draw_scenery("gym", hw, floor, _BODY * height, hall)
    moves = np.tile(np.eye(2, 3), (pose.num_frames, 1, 1))
    tone = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    still = Camera(moves, np.ones(pose.num_frames), tone, grain=1.0, blur_px=0.0)
    noise = np.random.default_rng([seed, 3, int(camera)])
    return film(human36m_figure(pose), person, scenery, still, pose.image_hw, noise)


def human36m_figure(pose: PoseClip) -> Figure:
    """A drawable body with the 32 joints of Human3.6M, feet and hands where they really are."""
    joints = np.stack([_point(pose, name) for name in PENN_ACTION.joints], axis=1)
    visible = np.ones(joints.shape[:2], bool)
    penn = dataclasses.replace(pose, joints_px=joints, visible=visible)
    figure = label_figure(penn, "front")
    extras = [_point(pose, name) for name in POINTS[PENN_ACTION.num_joints :]]
    points = np.concatenate([joints, np.stack(extras, axis=1)], axis=1)
    return dataclasses.replace(figure, points_px=points)


def _point(pose: PoseClip, name: str) -> np.ndarray:
    """Where a point of the drawn body is; its left is the viewer's left of somebody in front."""
    if name == "head":
        ends = [HUMAN36M.index("head"), HUMAN36M.index("head_top")]
        return pose.joints_px[:, ends].mean(axis=1)
    other, part = other_side(name).split("_")
    part = {"toe": "toe_base", "fist": "hand"}.get(part, part)
    return pose.joints_px[:, HUMAN36M.index(f"{other}_{part}")]


@dataclass(frozen=True)
class _DrawVideo:
    """Draws one clip: first its pose file, then the video that says it is whole."""

    source: Human36M
    out: Path
    config: DrawnVideosConfig

    def __call__(self, clip_id: str) -> None:
        cv2.setNumThreads(1)
        pose = self.source.read_poses(clip_id)
        num_frames = min(self.config.num_frames or pose.num_frames, pose.num_frames)
        self._write_poses(clip_id, pose, num_frames)
        video = self.video(clip_id)
        make_folder(video.parent)
        frames = map(drawn_film(pose, self.config.seed).frame, range(num_frames))
        write_mp4(video, frames, FPS, _CRF)

    def video(self, clip_id: str) -> Path:
        name = self.source.pose_file(clip_id).stem
        return self.out / clip_id.split("_")[0] / "Videos" / f"{name}.mp4"

    def _write_poses(self, clip_id: str, pose: PoseClip, num_frames: int) -> None:
        """The file itself; of a shortened clip the file that the 2017 MATLAB script would make."""
        original = self.source.pose_file(clip_id)
        path = self.out / original.relative_to(self.source.root)
        if num_frames == pose.num_frames:
            write_safely(path, lambda partial: shutil.copyfile(original, partial))
            return
        values = pose.joints_px[:num_frames].reshape(num_frames, -1).astype(np.float32)
        path = path.with_name(f"{original.stem}.mat")
        write_safely(path, lambda partial: scipy.io.savemat(partial, {"data": values}))
