"""Which videos `posecast forecast` is asked for, and where the forecast of each goes."""

import glob
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from posecast.errors import PosecastError
from posecast.media.frame_folders import PICTURE_SUFFIXES, made_of
from posecast.own_video.files import MOVIES, videos_of
from posecast.records.files import refuse_to_replace


def asked_videos(given: Iterable[Path]) -> list[Path]:
    """The videos given, those of folders, and those that patterns name; without what posecast has
    made of others among them, which *.mp4 names at a second call. What is passed over is said."""
    videos = list(dict.fromkeys(video for path in given for video in _videos(path)))
    made = made_of(videos)
    for video in sorted(made):
        told = "was made of another video that is given; give it alone to forecast it"
        print(f"posecast: passed over: {video} {told}", file=sys.stderr)
    videos = [video for video in videos if video not in made]
    pictures = sum(video.is_file() and video.suffix.lower() in PICTURE_SUFFIXES for video in videos)
    if pictures > 1:
        told = "pictures, each forecast alone; give their folder to forecast one video of them"
        print(f"posecast: {pictures} {told}", file=sys.stderr)
    return videos


def _videos(given: Path) -> list[Path]:
    """Of a pattern, too, which shells of Windows leave to their programs."""
    named = [] if given.exists() else sorted(glob.glob(str(given)))  # noqa: PTH207 (hidden ones)
    return [video for path in named or [given] for video in _of_folder(Path(path))]


def _of_folder(path: Path) -> list[Path]:
    """The videos of a folder; the path itself where it is none."""
    videos, note = videos_of(path) if path.is_dir() else ([path], "")
    if note:
        print(f"posecast: {note}", file=sys.stderr)
    return videos


def outs_of(videos: Sequence[Path], out: Path, ending: str) -> dict[Path, Path]:
    """Where the forecast of each of some videos goes, the file or folder OUT: a.mp4 and a.mov
    become a.mp4-forecast.mp4 and a.mov-forecast.mp4. PosecastError where that is not clear."""
    if out.suffix.lower() in MOVIES and not out.is_dir():
        if len(videos) > 1:
            raise PosecastError(
                f"--out {out} is one video, {len(videos)} are asked for: name a folder"
            )
        return {videos[0]: out}
    if out.suffix and not out.is_dir() and len(videos) == 1:
        return {videos[0]: out}  # the message about it says which endings there are
    alike = Counter(map(_stem, videos))
    names = {each: (_name if alike[_stem(each)] > 1 else _stem)(each) for each in videos}
    outs = {video: out / f"{name}-{ending}.mp4" for video, name in names.items()}
    twice = [path for path, count in Counter(outs.values()).items() if count > 1]
    if twice:
        raise PosecastError(f"{twice[0]} would be written twice: forecast videos of one name apart")
    for video in videos:
        refuse_to_replace(video, outs.values(), "a video to forecast")
    return outs


def _name(video: Path) -> str:
    """Of a folder its own, also of one that is given as "."."""
    return video.resolve().name if video.is_dir() else video.name


def _stem(video: Path) -> str:
    """The name without suffix; of a folder all of its name."""
    return _name(video) if video.is_dir() else video.stem
