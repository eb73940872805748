"""Penn Action (Zhang, Zhu, Derpanis, ICCV 2013) as it is published.

    ROOT/labels/0001.mat              joints, visibility, boxes, action, split of one clip
    ROOT/frames/0001/000001.jpg ...   its frames (.jpg, .jpeg or .png in any case); clips without
                                      this folder have poses only

The label files store numbers in different types, some of them unsigned, so everything becomes
float64 before any arithmetic. Pixels are 1-based there: the centre of the top-left one is (1, 1),
here it is (0.5, 0.5).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from posecast.clips import PoseClip, problems_of
from posecast.datasets.matlab import MatlabError, read_matlab
from posecast.errors import PosecastError
from posecast.media.frame_folders import read_picture
from posecast.records.arguments import check_setting
from posecast.records.files import entries, read_json
from posecast.skeletons import PENN_ACTION, Skeleton

PAPER_ACTIONS = (
    *("baseball_pitch", "baseball_swing", "clean_and_jerk", "golf_swing"),
    *("jumping_jacks", "jump_rope", "tennis_forehand", "tennis_serve"),
)
"""The 8 of the 15 actions that the paper's pose model is trained and tested on."""

# 31 official baseball_pitch training clips that the 2017 list of pose training clips lacks.
_ABSENT_2017 = (
    "0004 0007 0008 0009 0011 0012 0019 0021 0022 0032 0038 0043 0044 0048 0052 0053 "
    "0058 0074 0080 0089 0093 0115 0116 0117 0123 0124 0132 0144 0145 0164 0165"
)
ABSENT_FROM_2017_TRAINING = tuple(_ABSENT_2017.split())
"""Training clips of the 8 actions that the 2017 pose model was not trained on."""

DRAWN_SETTINGS = "synthetic.json"
"""File in the folder of a built-in data set, which has the same layout."""

NOMINAL_FPS = 30.0
"""The data set states no frame rate; its clips come from web video of about 30 frames a second."""

_NUMBERS = ("train", "dimensions", "x", "y", "visibility", "bbox")
_VARIABLES = ("action", *_NUMBERS)
_FRAME_SUFFIXES = (".jpg", ".jpeg", ".png")
_SPLITS = {1: "train", -1: "test"}
_LAYOUT = "expected labels/0001.mat ... and, for frames, frames/0001/000001.jpg ..."


@dataclass(frozen=True)
class PennAction:
    """The data set in a folder, a `clips.ClipSource`."""

    root: Path
    """Folder that holds `labels` and, for clips with pictures, `frames`."""

    def __post_init__(self) -> None:
        check_setting(self, "root", "root")
        labels = self.root / "labels"
        if not labels.is_dir():
            what = "is not a folder" if not self.root.is_dir() else "has no folder 'labels'"
            raise PosecastError(f"Penn Action: {self.root} {what}; {_LAYOUT}")
        if not any(labels.glob("*.mat")):
            raise PosecastError(f"Penn Action: {labels} holds no .mat file; {_LAYOUT}")

    @property
    def name(self) -> str:
        """`drawn_people` for the built-in data set: its clips are others with the same ids.

        Drawn people who repeat the motion of real labels count as Penn Action.
        """
        settings = self.root / DRAWN_SETTINGS
        drawn = settings.is_file() and read_json(settings)["poses"] is None
        return "drawn_people" if drawn else "penn_action"

    @property
    def skeleton(self) -> Skeleton:
        return PENN_ACTION

    def clip_ids(self) -> list[str]:
        """All clips that have labels, sorted."""
        files = (self.root / "labels").glob("*.mat")
        return sorted(file.stem for file in files if not file.name.startswith("."))

    def read_poses(self, clip_id: str) -> PoseClip:
        """The labels of one clip; ClipError where they cannot be used."""
        with problems_of(clip_id):
            values = self._read_labels(clip_id)
            visible = values["visibility"] != 0
            _check(bool(visible.any()), "no joint is visible in any frame; it is of no use")
            image_hw = (int(values["dimensions"][0]), int(values["dimensions"][1]))
            boxes = values["bbox"] - 0.5
            _check_boxes(boxes, image_hw)
        return PoseClip(
            clip_id=clip_id,
            action=values["action"],
            split=values["split"],
            fps=NOMINAL_FPS,
            image_hw=image_hw,
            joints_px=np.stack([values["x"], values["y"]], axis=-1) - 0.5,
            visible=visible,
            boxes_px=boxes,
        )

    def read_frames(self, clip_id: str) -> Iterator[UInt8[np.ndarray, "h w 3"]] | None:
        """Frames in order, RGB; None where the clip's folder is absent.

        On the way ClipError where frames and labels disagree or a frame is damaged.
        """
        folder = self.root / "frames" / clip_id
        return self._stream(folder, clip_id) if folder.is_dir() else None

    def _stream(self, folder: Path, clip_id: str) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        with problems_of(clip_id):
            values = self._read_labels(clip_id)
            height, width, num_frames = values["dimensions"].astype(int).tolist()
            files = sorted(
                (file for file in entries(folder) if file.suffix.lower() in _FRAME_SUFFIXES),
                key=lambda file: (len(file.stem), file.stem),
            )
            files = [file for file in files if file.stem.isdecimal()]
            if [int(file.stem) for file in files] != list(range(1, num_frames + 1)):
                raise PosecastError(_disagreement(folder, files, num_frames))
            for file in files:
                yield _read_frame(file, (height, width))

    def _read_labels(self, clip_id: str) -> dict[str, Any]:
        return _read_labels(self.root / "labels" / f"{clip_id}.mat")


def _read_labels(path: Path) -> dict[str, Any]:
    """The variables of a label file, numbers as float64, all of them checked for shape."""
    try:
        raw = read_matlab(path)
    except FileNotFoundError:
        raise PosecastError(f"there is no label file {path}") from None
    except (OSError, MatlabError) as error:
        raise PosecastError(f"cannot read {path}: {error}; fetch the file again") from error
    missing = [name for name in _VARIABLES if name not in raw]
    _check(not missing, f"{path} lacks {', '.join(missing)}; fetch the file again")
    values: dict[str, Any] = {name: _numbers(raw[name], f"{path}: {name}") for name in _NUMBERS}
    values["action"] = str(raw["action"])
    values["dimensions"] = values["dimensions"].ravel()
    train = values["train"].ravel().tolist()
    _check(
        len(train) == 1 and train[0] in _SPLITS,
        f"{path}: train is {train}, expected 1 (training clip) or -1 (test clip)",
    )
    values["split"] = _SPLITS[int(train[0])]
    boxes = values["bbox"]
    # Two published clips (1154, 1865) lack the last frame's box: the one before stands in.
    if len(boxes) and len(boxes) == len(values["x"]) - 1:
        values["bbox"] = np.concatenate([boxes, boxes[-1:]])
    _check_shapes(values, path)
    return values


def _numbers(value: Any, what: str) -> Float[np.ndarray, "..."]:
    """As float64 (the stored type may be unsigned), finite."""
    array = np.asarray(value)
    _check(array.dtype.kind in "biuf", f"{what} holds no numbers; fetch the file again")
    array = array.astype(np.float64)
    _check(bool(np.isfinite(array).all()), f"{what} holds NaN or infinite values")
    return array


def _check_shapes(values: dict[str, Any], path: Path) -> None:
    num_frames, num_joints = len(values["x"]), PENN_ACTION.num_joints
    expected = dict.fromkeys(("x", "y", "visibility"), (num_frames, num_joints))
    expected |= {"dimensions": (3,), "bbox": (num_frames, 4)}
    for name, shape in expected.items():
        found = values[name].shape
        _check(found == shape, f"{path}: {name} has shape {found}, expected {shape}")
    height, width, count = values["dimensions"].tolist()
    _check(num_frames > 0, f"{path} has no frame")
    _check(
        count == num_frames and height > 0 and width > 0,
        f"{path}: dimensions (height, width, frames) are {height:g}, {width:g}, {count:g} but "
        f"there are poses of {num_frames} frames",
    )


def _check_boxes(boxes_px: np.ndarray, image_hw: tuple[int, int]) -> None:
    """Single boxes may leave the image or be empty; together they must show something of it."""
    height, width = image_hw
    x1, y1 = np.maximum(boxes_px[:, :2].min(axis=0), 0)
    x2, y2 = np.minimum(boxes_px[:, 2:].max(axis=0), (width, height))
    _check(
        bool(x2 > x1 and y2 > y1),
        f"the boxes of all frames lie outside the image ({width} x {height} pixels) or are "
        "empty; mend the label file's bbox",
    )


def _disagreement(folder: Path, files: list[Path], num_frames: int) -> str:
    """What is wrong with a folder's frames, where something is."""
    numbers = Counter(int(file.stem) for file in files)
    missing = [f"{n:06d}.jpg is missing" for n in range(1, num_frames + 1) if not numbers[n]]
    surplus = [
        f"{file.name} is too many"
        for file in files
        if not 1 <= int(file.stem) <= num_frames or numbers[int(file.stem)] > 1
    ]
    return (
        f"{folder} has {len(files)} frames but the labels have {num_frames} "
        f"({(missing + surplus)[0]}); fetch the clip again, or remove its folder to keep the poses "
        "alone"
    )


def _read_frame(path: Path, image_hw: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    try:
        frame = read_picture(path)
    except PosecastError as error:
        raise PosecastError(f"cannot read {error}; fetch the clip again") from error
    found = frame.shape[:2]
    _check(
        found == image_hw,
        f"{path} is {found[1]} x {found[0]} pixels but the labels are for {image_hw[1]} x "
        f"{image_hw[0]}; fetch the frames in their published size",
    )
    return frame


def _check(condition: bool, problem: str) -> None:
    if not condition:
        raise PosecastError(problem)
