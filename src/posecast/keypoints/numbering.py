"""Frame numbers as other programs write them -> frames of the video.

A number is taken as it stands (0 is the first frame) wherever it fits the video. Where it does not,
a guess is made and said, or refused.
"""

import contextlib
import re
from collections.abc import Sequence

from posecast.keypoints.detections import KeypointError

_SURPLUS = 2
"""Frames that another program may have counted beyond the end of a video."""
_MOST_OF_IT = 0.8
"""Numbers that do not begin at 0 or 1 must span so much of the video to be taken for it."""
_SUFFIX = re.compile(
    r"(_keypoints)?(\.rf\.\w+)?(\.(jpe?g|png|bmp|tiff?|webp|json"
    r"|mp4|mov|m4v|avi|mkv|webm|mpe?g|wmv|3gp))?$",
    re.IGNORECASE,
)
_FRAME_KEYS = (
    *("frame", "frameid", "frameindex", "framenumber", "frameno", "framenum", "frameidx"),
    *("imageid", "image", "filename", "imagename"),
)
"""What JSON files call the number of a frame, in small letters alone."""
_OF_FRAMES_ALONE = "index"
"""Such a name that says another thing of a person."""
_OVERRULE = "--first-frame says otherwise"


def said_numbers(entries: Sequence[object], people: bool = False) -> list[int] | None:
    """The frame numbers of the entries of a JSON file, frames or `people` of them, under the first
    key that tells them apart; None where none does.

    Entries of one frame may say its number each, or the name of its picture where they are people.
    Else what is said twice is no frame: the video's name, a camera.
    """
    said = [
        {re.sub(r"[^a-z]", "", str(key).lower()): value for key, value in entry.items()}
        for entry in entries
        if isinstance(entry, dict)
    ]
    keys = _FRAME_KEYS if people else (*_FRAME_KEYS, _OF_FRAMES_ALONE)
    for key in keys if said and len(said) == len(entries) else ():
        with contextlib.suppress(KeypointError):
            numbers = frame_numbers([each.get(key) for each in said])
            count = len(set(numbers))
            if count == len(numbers) or (count > 1 and (people or key.startswith("frame"))):
                return numbers
    return None


def frame_numbers(names: Sequence[object]) -> list[int]:
    """The number in each name that tells the frames apart: 12 of "walk2_000012_1080p.jpg".

    Of several that tell as much the last one counts.
    """
    found = [_numbers_in(name) for name in names]
    for name, numbers in zip(names, found, strict=True):
        if not numbers:
            raise KeypointError(f"{name!r} has no frame number")
    if len({len(numbers) for numbers in found}) > 1:
        return [numbers[-1] for numbers in found]
    columns = list(zip(*found, strict=True))
    best = max(range(len(columns)), key=lambda place: (len(set(columns[place])), place))
    return list(columns[best])


def _numbers_in(name: object) -> list[int]:
    """A whole number as it stands; those in a name besides its ending."""
    if isinstance(name, str):
        plain = _SUFFIX.sub("", re.split(r"[/\\]", name)[-1])
        return [int(number) for number in re.findall(r"\d+", plain)]
    if isinstance(name, int | float) and not isinstance(name, bool) and name % 1 == 0:
        return [int(name)]
    return []


def find_first(
    numbers: Sequence[int], num_frames: int, counts_from: int | None, asked: int
) -> tuple[int, str]:
    """What the file calls the first of `num_frames` frames; what was guessed, for people, or "".

    `asked` is what the user says it is, -1 for nothing; `counts_from` what the kind of file says.
    KeypointError where the numbers cannot belong to so many frames.
    """
    lowest, highest = min(numbers), max(numbers)
    said = f"frame numbers {lowest} to {highest} of {num_frames} frames"
    if asked >= 0:
        return _asked(numbers, num_frames, asked)
    if counts_from == 1 and lowest >= 1 and highest < num_frames + _SURPLUS:
        return 1, ""
    if highest < num_frames:
        doubtful = counts_from is None and lowest == 1
        note = f"{said} are taken to count from 0; {_OVERRULE}" if doubtful else ""
        return 0, note
    if lowest >= 1 and (highest == num_frames or (lowest == 1 and highest == num_frames + 1)):
        return 1, f"{said} are taken to count from 1; {_OVERRULE}"
    if highest < num_frames + _SURPLUS:
        return 0, f"{said} are taken to count from 0, the surplus is left out"
    if _MOST_OF_IT * num_frames <= highest - lowest + 1 < num_frames + _SURPLUS:
        return lowest, f"{said}: {lowest} is taken for the first frame; {_OVERRULE}"
    raise KeypointError(
        f"has poses up to frame {highest}, the video has {num_frames} frames: give the "
        f"keypoints of this video, of all of its frames; or, if the numbers from {lowest} on are "
        "meant otherwise, say with --first-frame what they call the first frame"
    )


def _asked(numbers: Sequence[int], num_frames: int, asked: int) -> tuple[int, str]:
    outside = sum(not asked <= number < asked + num_frames for number in numbers)
    if outside == len(numbers):
        raise KeypointError(
            f"its frame numbers are {min(numbers)} to {max(numbers)}; with --first-frame "
            f"{asked} the video's {num_frames} frames are {asked} to {asked + num_frames - 1}"
        )
    note = f"poses of {outside} frames outside of the video are left out" if outside else ""
    return asked, note
