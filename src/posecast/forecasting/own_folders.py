"""Poses for a folder of videos, by an estimator: what `datasets.videos` reads beside them."""

from collections.abc import Callable
from pathlib import Path

from posecast.datasets.videos import poses_path, video_files
from posecast.estimation import FollowOptions, JointFinder, follow
from posecast.keypoints import write_table
from posecast.media.videos import read_video


def estimate_folder(
    root: Path,
    poses: Path,
    estimator: JointFinder,
    options: FollowOptions | None = None,
    on_video: Callable[[Path], None] = lambda video: None,
) -> dict[Path, str]:
    """Write POSES/.../NAME.csv for every video that has no poses yet; videos that cannot be read.

    Each video is followed from its first frame; one without a person gets an empty table.
    `on_video` is called before each. Returns the videos that were left out, and why.
    """
    left_out = {}
    for video in video_files(root):
        if poses_path(root, video, poses) is not None:
            continue
        on_video(video)
        try:
            found = follow(read_video(video), estimator, options)
        except ValueError as error:
            left_out[video] = str(error)
            continue
        path = poses / video.relative_to(root).with_suffix(".csv")
        write_table(path, found.joints_px, found.visible, estimator.skeleton)
    return left_out
