"""Poses by an estimator for the videos of a folder, which `datasets.videos` reads beside them."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from posecast.datasets.video_files import poses_path, video_files
from posecast.estimation.estimator import JointFinder
from posecast.estimation.following import follow
from posecast.keypoints import stored_joints, write_table
from posecast.media.shots import Shots
from posecast.media.videos import read_timeline, read_video


def estimate_folder(
    root: Path,
    poses: Path,
    estimator: JointFinder,
    on_video: Callable[[Path], None] = lambda video: None,
    on_older: Callable[[Path, Path], None] = lambda video, poses: None,
) -> dict[Path, str]:
    """Write POSES/.../NAME.csv for every video that has no poses yet; videos that cannot be read.

    Where videos differ in nothing but their suffix it is NAME.mp4.csv and so on.
    Each video is followed from its first frame; one without a person gets an empty table.
    `on_video` is called before each; `on_older` with one that was changed after its poses were
    found, which stay (somebody may have mended them). Returns the videos that were left out, and
    why.
    """
    left_out = {}
    videos = video_files(root)
    stems = Counter(video.with_suffix("") for video in videos)
    for video in videos:
        known = poses_path(root, video, poses)
        alone = stems[video.with_suffix("")] == 1
        if known is not None and (alone or known.stem == video.name):
            if known.stat().st_mtime < video.stat().st_mtime:
                on_older(video, known)
            continue
        on_video(video)
        try:
            timeline, shots = read_timeline(video), Shots()
            starts = partial(shots.starts, fps=timeline.info.fps)
            found = follow(shots.watch(read_video(video)), estimator, starts=starts)
        except ValueError as error:
            left_out[video] = str(error)
            continue
        name = video.stem if alone else video.name
        path = poses / video.relative_to(root).parent / f"{name}.csv"
        stored = stored_joints(found.joints_px, timeline)
        write_table(path, stored, found.visible, estimator.skeleton)
    return left_out
