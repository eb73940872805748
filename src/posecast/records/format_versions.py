"""Numbers in everything that is stored, so that what is too new is refused with the reason."""

from typing import Any

from posecast.errors import PosecastError


class FormatVersionError(PosecastError):
    """Something was written by a posecast that this one cannot read."""


def check_format_version(found: Any, known: int, what: str) -> None:
    """FormatVersionError unless `found` is a whole number from 1 to `known`.

    `what` is named in the message, as "run runs/pose".
    """
    if type(found) is int and 1 <= found <= known:
        return
    if type(found) is int and found > known:
        raise FormatVersionError(
            f"{what} has format version {found}, this posecast reads up to {known}: it was written "
            "by a newer posecast; update this one"
        )
    raise FormatVersionError(f"{what} has format version {found!r}, expected 1 to {known}")
