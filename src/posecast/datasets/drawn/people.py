"""The built-in data set: drawn people in the published layout of Penn Action.

    ROOT/synthetic.json               the settings, so that a started set is not mixed with another
    ROOT/labels/0001.mat              joints, visibility, boxes, action, split
    ROOT/frames/0001/000001.jpg ...

People with limbs of different widths, clothes and textured surroundings perform the paper's eight
actions, or repeat the motion of real label files. The pictures are a pure function of
(settings, clip number); see docs/synthetic.md for how hard they are compared with real footage.
"""

import io
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import scipy.io

from posecast.datasets.drawn import clips
from posecast.datasets.matlab import read_matlab
from posecast.datasets.penn_action import DRAWN_SETTINGS, PennAction
from posecast.records.configs import claim_folder
from posecast.records.files import filled_with, write_safely

_DEFAULT_NUM_CLIPS = 96
_JPEG_QUALITY = 90
_MAT_HEADER = b"MATLAB 5.0 MAT-file, drawn by posecast".ljust(116)


def write_penn_layout(
    config: clips.SyntheticConfig, root: Path, workers: int = 1
) -> clips.DrawnSet:
    """Write the set to `root`; what a stopped run has finished is kept.

    The files do not depend on the number of worker processes (0: one per CPU core). PosecastError
    where `root` holds something else, or a set with other settings.
    """
    settings = {"drawing_version": clips.DRAWING_VERSION, **asdict(config)}
    del settings["num_clips"]  # clips do not depend on how many there are
    settings |= {"image_hw": list(config.image_hw), "actions": list(config.actions)}
    settings["poses"] = str(config.poses.resolve()) if config.poses else None
    wanted = clip_ids(config)
    claim_folder(root / DRAWN_SETTINGS, settings, "drawn clips")
    with_frames = [clip_id for clip_id in wanted if (root / "frames" / clip_id).is_dir()]
    # The label file is written last.
    kept = [name for name in with_frames if (root / "labels" / f"{name}.mat").is_file()]
    return clips.draw_missing(_WriteClip(config, root), wanted, kept, workers)


def clip_ids(config: clips.SyntheticConfig) -> list[str]:
    """The clips of a set: 0001, 0002, ..., or with `poses` the label files' names."""
    if config.poses is None:
        count = config.num_clips or _DEFAULT_NUM_CLIPS
        return [f"{number:04d}" for number in range(1, count + 1)]
    return _label_source(config.poses).clip_ids()[: config.num_clips]


def _label_source(poses: Path) -> PennAction:
    """The data set that a folder of label files belongs to."""
    return PennAction(poses.parent if poses.name == "labels" else poses)


@dataclass(frozen=True)
class _WriteClip:
    """Writes one clip: frames first, then the label file that says it is whole."""

    config: clips.SyntheticConfig
    root: Path

    def __call__(self, clip_id: str) -> None:
        config = self.config
        if config.poses is None:
            clip = clips.draw_clip(config, clip_id)
            labels = _label_bytes(clip, np.random.default_rng([config.seed, int(clip_id)]))
        else:
            source = _label_source(config.poses)
            original = source.root / "labels" / f"{clip_id}.mat"
            pose = source.read_poses(clip_id)
            facing = str(read_matlab(original).get("pose", ""))
            clip, labels = clips.draw_label_clip(pose, facing, config.seed), original.read_bytes()
        folder = self.root / "frames" / clip_id
        if folder.is_dir():  # left by a run that was stopped before the labels were written
            shutil.rmtree(folder)
        write_safely(folder, lambda partial: _fill_folder(partial, clip))
        write_safely(self.root / "labels" / f"{clip_id}.mat", filled_with(labels))


def _fill_folder(folder: Path, clip: clips.DrawnClip) -> None:
    folder.mkdir()
    for number, frame in enumerate(clip.frames, start=1):
        swapped = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        _, jpeg = cv2.imencode(".jpg", swapped, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        (folder / f"{number:06d}.jpg").write_bytes(jpeg.tobytes())


def _label_bytes(clip: clips.DrawnClip, rng: np.random.Generator) -> bytes:
    """A label file as published: 1-based pixels, a third of the unseen joints in the corner."""
    pose = clip.pose
    numbers = pose.joints_px + 0.5
    unseen = ~pose.visible.any(axis=0) | (rng.random(pose.visible.shape[1]) < 1 / 3)
    numbers[~pose.visible & unseen] = 1.0
    count_type = np.uint8 if pose.num_frames < 256 else np.uint16
    variables = {
        "action": pose.action,
        "pose": clip.facing,
        "x": numbers[..., 0],
        "y": numbers[..., 1],
        "visibility": pose.visible.astype(np.uint8),
        "train": np.array([[1 if pose.split == "train" else -1]], np.int32),
        "bbox": pose.boxes_px + 0.5,
        "dimensions": np.array([[*pose.image_hw, pose.num_frames]], np.uint16),
        "nframes": np.array([[pose.num_frames]], count_type),
    }
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables, do_compression=True)
    data = buffer.getvalue()
    return _MAT_HEADER + data[len(_MAT_HEADER) :]  # the usual header holds the time of day
