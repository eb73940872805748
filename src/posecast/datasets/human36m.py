"""Human3.6M (Ionescu et al., PAMI 2014) as it is distributed.

    ROOT/S1/MyPoseFeatures/D2_Positions/Walking 1.54138969.cdf   32 joints in pixels, all frames
    ROOT/S1/Videos/Walking 1.54138969.mp4                        its video, 50 frames a second

Names with "_" or "-" in place of the space are read too, and poses in S1/Poses_D2_Positions,
S1/D2_Positions, Poses_D2_Positions_S1 and the like, where other scripts unpack them.
`.mat` files that the 2017 MATLAB script made from the CDF files are read where those are absent.
A subject without the folder `Videos` gives clips with poses only. The numbers of the files are
kept as they are: whether they count from a pixel's centre or its corner, they do not say.
"""

import functools
import itertools
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from posecast.clips import PoseClip, problems_of
from posecast.datasets.human36m_poses import PoseFileError, read_pose_file
from posecast.errors import PosecastError
from posecast.media.videos import VideoInfo, probe_video, read_video
from posecast.records.arguments import check_setting
from posecast.records.configs import check_at_least
from posecast.records.files import entries
from posecast.skeletons import HUMAN36M, Skeleton

TRAINING_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
TEST_SUBJECTS = ("S9", "S11")
ACTIONS = (
    *("directions", "discussion", "eating", "greeting", "phoning", "photo", "posing", "purchases"),
    *("sitting", "sitting_down", "smoking", "waiting", "walk_dog", "walk_together", "walking"),
)
"""The 15 actions, whatever their spelling in a file's name."""
FPS = 50.0
"""Frames a second of all videos and poses."""

_POSES = (
    "{0}/MyPoseFeatures/D2_Positions",
    "{0}/Poses_D2_Positions",
    "{0}/D2_Positions",
    "Poses_D2_Positions_{0}",
    "Poses_D2_Positions_{0}/{0}/MyPoseFeatures/D2_Positions",
    "Poses_D2_Positions/{0}",
)
_VIDEOS = ("{0}/Videos", "Videos_{0}", "Videos_{0}/{0}/Videos", "Videos/{0}")
"""Where the files of a subject may lie, the published place first."""
_POSE_SUFFIXES = (".cdf", ".mat")
_NAME = re.compile(r"(?P<action>[A-Za-z]+([ _-][A-Za-z]+)*)( \d+)?\.(?P<camera>\d+)")
_BEFORE_TAKE = re.compile(r"[ _-]+(?=\d+\.\d+$)")
"""What stands before the number of a take; a space as published."""
_SPELLINGS = {action.replace("_", ""): action for action in ACTIONS} | {
    "takingphoto": "photo",
    "walkingdog": "walk_dog",
    "walkingtogether": "walk_together",
}
_CAMERA_HW: dict[str, tuple[int, int]] = dict.fromkeys(("54138969", "60457274"), (1002, 1000))
_CAMERA_HW |= dict.fromkeys(("55011271", "58860488"), (1000, 1000))
"""Height and width of each camera's pictures, for clips without video."""
_MOST_APART = 50
"""Frames by which a video and its poses may differ in length: a second."""
_NEVER_PUBLISHED = ("S11_Directions.54138969",)
_LAYOUT = (
    "expected S1/MyPoseFeatures/D2_Positions/Walking.54138969.cdf ... and, for frames, "
    "S1/Videos/Walking.54138969.mp4 ..."
)


@dataclass(frozen=True)
class _Files:
    """What there is of one clip."""

    subject: str
    stem: str
    """Name of its files without suffix, as published: "Walking 1.54138969"."""
    poses: Path | None
    video: Path | None


@dataclass(frozen=True)
class Human36M:
    """The data set in a folder, a `clips.ClipSource`; a clip is one camera's view of one take."""

    root: Path
    """Folder that holds the subjects' folders S1, S5, ..."""
    every: int = 4
    """Keep every n-th frame; 4 gives 12.5 frames a second (paper), 1 all 50."""
    poses_only: bool = False
    """Leave the videos alone, even where they are there."""

    def __post_init__(self) -> None:
        check_setting(self, "root", "root")
        check_at_least(1, self, "every")
        if not self.root.is_dir():
            raise PosecastError(f"Human3.6M: {self.root} is not a folder; {_LAYOUT}")
        if not self._files:
            raise PosecastError(f"Human3.6M: {self.root} holds no subject's files; {_LAYOUT}")

    @property
    def name(self) -> str:
        return "human36m"

    @property
    def skeleton(self) -> Skeleton:
        return HUMAN36M

    def clip_ids(self) -> list[str]:
        """All clips that have poses or a video, sorted, such as "S1_Walking_1.54138969"."""
        return list(self._files)

    def read_poses(self, clip_id: str) -> PoseClip:
        """The joints of one clip, all of them visible; ClipError where they cannot be used.

        The box of a frame is the extent of its joints and of those of the frames left out before
        it; the last box holds what follows it too, so that all boxes together are the extent of
        the whole track whatever `every` is. Of a video and poses that differ in length by up to
        a second the shorter counts, and the clip's note says so.
        """
        with problems_of(clip_id):
            files = self._find(clip_id)
            action, camera = _parse_name(files)
            joints = _read_joints(self.pose_file(clip_id))
            path = self._video(clip_id)
            video = None if path is None else probe_video(path)
            num_frames, note = _common_length(len(joints), video)
            image_hw = _image_hw(camera, video)
        boxes = _boxes(joints[:num_frames], self.every)
        joints = joints[: num_frames : self.every]
        return PoseClip(
            clip_id=clip_id,
            action=action,
            split="train" if files.subject in TRAINING_SUBJECTS else "test",
            fps=FPS / self.every,
            image_hw=image_hw,
            joints_px=joints,
            visible=np.ones(joints.shape[:2], bool),
            boxes_px=boxes,
            note=note,
        )

    def read_frames(self, clip_id: str) -> Iterator[UInt8[np.ndarray, "h w 3"]] | None:
        """The kept frames in order, RGB; None where the subject has no videos.

        ClipError where this clip's video is missing; on the way, where it is damaged.
        """
        with problems_of(clip_id):
            video = self._video(clip_id)
        return None if video is None else self._stream(video, clip_id)

    def pose_file(self, clip_id: str) -> Path:
        """The file that holds the clip's joints; ClipError where there is none."""
        with problems_of(clip_id):
            files = self._find(clip_id)
            if files.poses is None:
                raise PosecastError(
                    f"has a video but no poses: {_POSES[0].format(files.subject)}/{files.stem}.cdf "
                    "(or .mat) is missing; fetch it, or remove the video"
                )
            return files.poses

    @functools.cached_property
    def _files(self) -> dict[str, _Files]:
        """Clips by id, sorted."""
        found = {}
        for subject in (*TRAINING_SUBJECTS, *TEST_SUBJECTS):
            poses = _by_stem(_folder(self.root, subject, _POSES), _POSE_SUFFIXES)
            videos = _by_stem(_folder(self.root, subject, _VIDEOS), (".mp4",))
            for stem in poses.keys() | videos.keys():
                clip_id = f"{subject}_{stem.replace(' ', '_')}"
                found[clip_id] = _Files(subject, stem, poses.get(stem), videos.get(stem))
        return dict(sorted(found.items()))

    def _find(self, clip_id: str) -> _Files:
        if clip_id not in self._files:
            raise PosecastError(f"{self.root} holds neither its poses nor its video")
        return self._files[clip_id]

    def _video(self, clip_id: str) -> Path | None:
        """The clip's video; None where the subject has no videos or none are wanted."""
        files = self._find(clip_id)
        folder = _folder(self.root, files.subject, _VIDEOS)
        if self.poses_only or not folder.is_dir():
            return None
        if files.video is None and clip_id in _NEVER_PUBLISHED:
            raise PosecastError(
                "its video was never published; left out, as in the 2017 experiments"
            )
        if files.video is None:
            raise PosecastError(
                f"has poses but no video {folder / files.stem}.mp4: fetch it, or prepare poses "
                "only (--poses-only)"
            )
        return files.video

    def _stream(self, video: Path, clip_id: str) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        expected = self.read_poses(clip_id).num_frames
        count = 0
        with problems_of(clip_id), closing(read_video(video, every=self.every)) as frames:
            for frame in itertools.islice(frames, expected):
                yield frame
                count += 1
            if count < expected:
                raise PosecastError(
                    f"{video}: truncated: {expected} frames were to be kept, the file ends after "
                    f"{count} of them; copy it again"
                )


def action_of(name: str) -> str | None:
    """One of ACTIONS for any spelling of it in a file's name; None where it is none of them."""
    return _SPELLINGS.get(re.sub(r"[ _-]", "", name).lower())


def _folder(root: Path, subject: str, places: tuple[str, ...]) -> Path:
    """The first of the places that holds files, else the first."""
    folders = [root / place.format(subject) for place in places]
    used = [each for each in folders if any(map(Path.is_file, entries(each)))]
    return (used or folders)[0]


def _by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Files by name without suffix, earlier suffixes first; "_ALL" are whole recordings."""
    files: dict[str, Path] = {}
    for suffix in reversed(suffixes):
        found = sorted(folder.glob(f"*{suffix}"))
        files |= {
            _BEFORE_TAKE.sub(" ", file.name.removesuffix(suffix)): file
            for file in found
            if file.name[0] not in "._"
        }
    return files


def _read_joints(path: Path) -> Float[np.ndarray, "t j 2"]:
    try:
        return read_pose_file(path)
    except PoseFileError as error:
        raise PosecastError(f"cannot read {path}: {error}; fetch the file again") from error


def _parse_name(files: _Files) -> tuple[str, str]:
    """Action and camera; PosecastError where the file's name does not say them."""
    match = _NAME.fullmatch(files.stem)
    action = action_of(match["action"]) if match else None
    if match is None or action is None:
        raise PosecastError(
            f"cannot tell action and camera from the name {files.stem!r}, expected a name such as "
            f"'Walking 1.54138969' of one of the actions {', '.join(ACTIONS)}; rename or remove it"
        )
    return action, match["camera"]


def _boxes(joints: Float[np.ndarray, "t j 2"], every: int) -> Float[np.ndarray, "k 4"]:
    """A box for each kept frame, from the frame after the last kept one on."""
    firsts = np.maximum(np.arange(0, len(joints), every) - every + 1, 0)
    low = np.minimum.reduceat(joints.min(axis=1), firsts)
    high = np.maximum.reduceat(joints.max(axis=1), firsts)
    return np.concatenate([low, high], axis=1)


def _common_length(num_poses: int, video: VideoInfo | None) -> tuple[int, str]:
    """How many frames have both a pose and a picture, and a note where some have not."""
    if video is None or video.num_frames == num_poses:
        return num_poses, ""
    both = f"the video has {video.num_frames} frames, the poses are of {num_poses}"
    if abs(video.num_frames - num_poses) > _MOST_APART:
        raise PosecastError(
            f"{both}: more than {_MOST_APART} apart, they cannot belong together (was the video "
            "cut or its frame rate changed?); fetch both again"
        )
    shorter = min(num_poses, video.num_frames)
    return shorter, f"{both}: the first {shorter} of both are used"


def _image_hw(camera: str, video: VideoInfo | None) -> tuple[int, int]:
    """Size of the pictures: the video's, else what the camera's are known to have."""
    known = _CAMERA_HW.get(camera)
    if video is None and known is None:
        raise PosecastError(
            f"has no video, and the size of camera {camera}'s pictures is not known (known are "
            f"{', '.join(_CAMERA_HW)}); add its video"
        )
    if video is None or known is None:
        return known or (video.height, video.width)  # pyright: ignore[reportOptionalMemberAccess]
    if max(abs(video.height - known[0]), abs(video.width - known[1])) > 2:
        raise PosecastError(
            f"the video is {video.width} x {video.height} pixels but its poses are for "
            f"{known[1]} x {known[0]}; fetch the video in its published size"
        )
    return video.height, video.width
