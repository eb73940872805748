"""Where one's own videos and their poses lie, and what their clips are called."""

import hashlib
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from posecast.errors import PosecastError
from posecast.media.frame_folders import VIDEO_SUFFIXES, made_of
from posecast.records.files import entries

_NOT_IN_IDS = re.compile(r"[\x00-\x1f/\\\ud800-\udfff]")
_LONGEST_ID = 180
"""Bytes; files of a clip are called by its id and an ending."""


def video_files(root: Path) -> list[Path]:
    """Videos in a folder and the folders in it, sorted; hidden ones are passed over, and what
    posecast has made of others."""
    if not root.is_dir():
        raise PosecastError(f"{root} is not a folder")
    found = [
        path
        for path in root.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    ]
    return sorted({*found} - made_of(found))


def poses_path(root: Path, video: Path, poses: Path) -> Path | None:
    """The poses of a video in a folder laid out alike; None where there are none."""
    folder = _as_written(poses, video.relative_to(root).parent.parts)
    names = (f"{video.name}.csv", f"{video.name}.json", f"{video.stem}.csv", f"{video.stem}.json")
    found = (_as_written(folder, [name]) for name in (*names, video.stem))
    return next((path for path in found if path.exists()), None)


def _as_written(folder: Path, names: Sequence[str]) -> Path:
    """The path; where it is absent, one with the same letters in another Unicode form."""
    for name in names:
        path = folder / name
        if not path.exists():
            same = [each for each in entries(folder) if _composed(each.name) == _composed(name)]
            path = same[0] if same else path
        folder = path
    return folder


def _composed(name: str) -> str:
    """Accents as one letter: some systems write "e" and the accent apart."""
    return unicodedata.normalize("NFC", name)


def clip_names(root: Path, videos: Sequence[Path]) -> dict[str, Path]:
    """A clip's id for each video: folders and name joined by "-".

    Where several would have one id ("jump/a.mov" and "jump/a.mp4"; "jump/left-1.mp4" and
    "jump-left/1.mp4") they are called by their full names, folders joined by "--". PosecastError
    where that is not enough.
    """
    groups: dict[str, list[Path]] = defaultdict(list)
    for video in videos:
        parts = (*video.relative_to(root).parent.parts, video.stem)
        groups[_short("-".join(parts))].append(video)
    named: dict[str, Path] = {}
    for clip_id, group in groups.items():
        for video in group:
            full = _short("--".join(video.relative_to(root).parts))
            name = clip_id if len(group) == 1 else full
            if name in named:
                raise PosecastError(
                    f"{video} and {named[name]} would both be clip {name}: rename one of them"
                )
            named[name] = video
    return named


def _short(name: str) -> str:
    """The name, accents as one letter, without what no store or text takes; a long one is cut and
    ends with a checksum of all of it."""
    content = os.fsencode(name)
    plain = _NOT_IN_IDS.sub("_", _composed(name))
    if len(os.fsencode(plain)) <= _LONGEST_ID:
        return plain
    start = plain.encode()[: _LONGEST_ID - 9].decode(errors="ignore")
    return f"{start}-{hashlib.sha256(content).hexdigest()[:8]}"
