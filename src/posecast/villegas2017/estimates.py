"""The stored pose estimates of the 2017 authors, put beside a store's labels.

    FOLDER/NNNN.npz                        Penn Action: x, y as shares of the crop, visibility
    FOLDER/S9_Hourglass/Walking 1.54138969.npz   Human3.6M: all_posex, all_posey in pixels of the
                                           crop at all 50 frames a second, and box, the crop

The paper's tests start from these instead of the labels (deviations.md 14); in posecast,
predictions and evaluations do where they are told `--seen-poses estimated`. The estimates came from
an hourglass network of which neither code nor rounding is known, so no half pixel is added.
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posecast.clips import ClipError
from posecast.errors import PosecastError
from posecast.geometry import crop_to_px, union_crop
from posecast.store.files import Poses
from posecast.store.reading import Store, StoredClip

_MOST_LISTED = 20
_EXAMPLES = {"penn_action": "0001.npz", "human36m": "S9_Hourglass/Walking.54138969.npz"}
_MOST_BEYOND = 50
"""Frames by which Human3.6M estimates may outlast a clip, whose video may be a little shorter."""
_READ_ERRORS = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class EstimatesReport:
    """What `import_estimates_2017` did."""

    num_imported: int
    """Clips of the store that have estimates now."""
    num_without: int
    """Clips of the store that there is no file for."""
    left_out: dict[str, str]
    """Clips whose file cannot be used, and why."""

    def summary(self) -> str:
        lines = [
            f"estimated poses of {self.num_imported} clips added; {self.num_without} clips of the "
            "store have none"
        ]
        if self.left_out:
            lines.append(f"{len(self.left_out)} left out:")
            listed = sorted(self.left_out.items())[:_MOST_LISTED]
            lines += [f"  clip {clip_id}: {problem}" for clip_id, problem in listed]
        return "\n".join(lines)


def import_estimates_2017(folder: Path, store_path: Path) -> EstimatesReport:
    """Read the estimates of a store's clips and add them, in place of any that it has.

    PosecastError where the store's data set has no such estimates, or not one file fits a clip.
    """
    store = Store.open(store_path)
    files = _find_files(folder, store)
    estimates, left_out = {}, {}
    for clip_id, path in files.items():
        try:
            estimates[clip_id] = _read(path, store.clip(clip_id), store)
        except ClipError as error:
            left_out[clip_id] = error.problem
    if not estimates:
        why = "; ".join(list(left_out.values())[:3])
        raise PosecastError(
            f"no estimates for store {store_path}: "
            f"{why or f'no file in {folder} is of one of its clips'}. Expected files such as "
            f"{folder / _EXAMPLES[store.info.dataset]}"
        )
    store.write_estimates(estimates)
    return EstimatesReport(len(estimates), len(store.clips) - len(files), left_out)


def _find_files(folder: Path, store: Store) -> dict[str, Path]:
    """Files of clips that the store has, by clip, sorted."""
    known = {clip.clip_id for clip in store.clips}
    if store.info.dataset == "penn_action":
        files = {path.stem: path for path in folder.glob("*.npz")}
    elif store.info.dataset == "human36m":
        paths = folder.glob("*_Hourglass/*.npz")  # of S9_Walking_1.54138969, say
        names = {path: f"{path.parent.name}_{path.stem}".replace(" ", "_") for path in paths}
        files = {name.replace("_Hourglass", "", 1): path for path, name in names.items()}
    else:
        raise PosecastError(
            f"store {store.path} is of {store.info.dataset}; the 2017 authors published estimates "
            "for penn_action and human36m"
        )
    return {clip_id: files[clip_id] for clip_id in sorted(known & files.keys())}


def _read(path: Path, clip: StoredClip, store: Store) -> Poses:
    """Joints in source pixels and visibility, one pose for every frame of the clip."""
    try:
        if store.info.dataset == "penn_action":
            joints, visible, beyond = *_read_penn(path, clip), 0
        else:
            every = int(store.info.source.get("every", 1))
            joints, visible = (poses[::every] for poses in _read_human36m(path))
            beyond = _MOST_BEYOND // every
    except _READ_ERRORS as error:
        problem = f"cannot read {path}: {error or type(error).__name__}; fetch the file again"
        raise ClipError(clip.clip_id, problem) from error
    return _fitted(joints, visible, clip, path, beyond)


def _read_penn(path: Path, clip: StoredClip) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the 2017 crop, which follows from the clip's boxes whatever the store's crop is."""
    with path.open("rb") as file, np.load(file) as arrays:
        shares = np.stack([arrays["x"], arrays["y"]], axis=-1).astype(np.float32)
        visible = np.asarray(arrays["visibility"]) != 0
    crop = union_crop(np.array([clip.box_px]), clip.image_hw, margin_px=5)
    return crop_to_px(shares, crop), visible


def _read_human36m(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with path.open("rb") as file, np.load(file) as arrays:
        joints = np.stack([arrays["all_posex"], arrays["all_posey"]], axis=-1)
        corner = np.asarray(arrays["box"]).ravel()[:2]
    joints = (joints.astype(np.float64) + corner).astype(np.float32)
    return joints, np.ones(joints.shape[:2], bool)


def _fitted(
    joints: np.ndarray, visible: np.ndarray, clip: StoredClip, path: Path, beyond: int
) -> Poses:
    """As long as the clip: frames without an estimate are invisible, a few too many are cut."""
    num_frames, num_joints = clip.visible.shape
    if joints.shape != (*visible.shape, 2) or visible.shape[1] != num_joints:
        raise ClipError(
            clip.clip_id,
            f"{path} holds joints {joints.shape} and visibility {visible.shape}, expected "
            f"{num_joints} joints; fetch the file again",
        )
    if not 0 < len(joints) <= num_frames + beyond:
        raise ClipError(
            clip.clip_id,
            f"{path} has estimates of {len(joints)} frames, the clip has {num_frames}: it belongs "
            "to another clip or copy of the data set",
        )
    if not np.isfinite(joints[visible]).all():
        raise ClipError(clip.clip_id, f"{path} holds NaN or infinite values; fetch it again")
    missing = max(num_frames - len(joints), 0)
    joints = np.concatenate([joints[:num_frames], np.zeros((missing, num_joints, 2), np.float32)])
    visible = np.concatenate([visible[:num_frames], np.zeros((missing, num_joints), bool)])
    return joints, visible
