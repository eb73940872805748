"""Text files of other programs, in whatever letters these write."""

from pathlib import Path

from posecast.keypoints.detections import KeypointError

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_letters(path: Path) -> str:
    """UTF-8, or what Windows calls Unicode; else what spreadsheets write in western Europe.
    KeypointError where it is no text."""
    try:
        content = path.read_bytes()
        if content[:2] in _UTF16:
            return content.decode("utf-16")
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return content.decode("cp1252")
    except (OSError, UnicodeDecodeError) as error:
        raise KeypointError(f"cannot be read as text ({error})") from error
