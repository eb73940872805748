"""Picture files in and out, uint8 RGB `(h, w, 3)`, upright; and a folder of them, one a frame, in
place of a video file."""

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from posecast.errors import PosecastError
from posecast.records.files import entries, write_safely

PICTURE_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def write_picture(path: str | Path, picture: UInt8[np.ndarray, "h w 3"], quality: int = 95) -> None:
    """Write a PNG, or a JPEG of that quality, as the suffix says.

    PosecastError: another suffix.
    """
    path = Path(path)
    kind = PICTURE_FORMATS.get(path.suffix.lower())
    if kind is None:
        raise PosecastError(f"{path}: pictures are written as {', '.join(PICTURE_FORMATS)}")
    image = Image.fromarray(picture)
    write_safely(path, lambda partial: image.save(partial, format=kind, quality=quality))


def read_picture(path: str | Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read any picture file as RGB, upright.

    PosecastError: missing, truncated or not a picture.
    """
    path = Path(path)
    if not path.is_file():
        raise PosecastError(f"{path}: no such picture file")
    with _opened(path) as picture:
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I"):  # 16 bits, which Pillow's own way cuts off at 255
            grey = np.asarray(upright).clip(0, 65535)
            shift = 8 if upright.mode != "I" or grey.max() > 255 else 0  # "I": 32, any range
            return np.repeat((grey >> shift).astype(np.uint8)[..., None], 3, axis=-1)
        return np.array(upright.convert("RGB"))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture to be read in the block; whatever Pillow fails with is a PosecastError."""
    try:
        with Image.open(path) as picture:
            yield picture
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PosecastError(f"{path}: truncated or not a picture ({error})") from error


VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".m4v", ".avi", ".mkv"),
    *(".webm", ".mpg", ".mpeg", ".wmv", ".3gp"),
)
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".avif")
_PHOTOS = (".jpg", ".jpeg")
"""Pictures that never move, though some hold another one of the same."""
_MADE = re.compile(r"(.+)-(forecast|compare)(-\d+|-people)?")
_EXIF_ORIENTATION, _TRANSPOSED = 0x0112, (5, 6, 7, 8)


def files_of_kind(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files in a folder with one of these endings, in small or capital letters; hidden ones,
    which systems put beside others, are none."""
    return [
        file
        for file in entries(folder)
        if file.suffix.lower() in suffixes and not file.name.startswith(".")
    ]


def made_of(videos: Sequence[Path], others: Sequence[Path] = ()) -> set[Path]:
    """What posecast has written of a video beside it, a forecast say, among these files."""
    stems = {*videos, *(video.parent / video.stem for video in videos)}
    names = {file: _MADE.fullmatch(file.stem) for file in (*videos, *others)}
    return {file for file, of in names.items() if of and file.parent / of[1] in stems}


def is_of_pictures(path: Path) -> bool:
    """Whether it is a folder, or one picture: players of videos may show it lying on its side, and
    make up a rate."""
    return path.is_dir() or (
        path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() and not _moves(path)
    )


def _moves(path: Path) -> bool:
    """Whether it is a picture that moves, which is a video."""
    if path.suffix.lower() in _PHOTOS:
        return False
    with _opened(path) as picture:
        return getattr(picture, "n_frames", 1) > 1


@dataclass(frozen=True)
class FrameFolder:
    """Pictures in a folder, in the order of the numbers in their names; or one photo alone."""

    path: Path
    fps: float = 30.0
    """Frames a second, which the pictures do not say."""

    def __str__(self) -> str:
        return str(self.path)

    def pictures(self) -> list[Path]:
        """The picture files in order, but for those that posecast made of a video beside them;
        PosecastError where there are none."""
        if self.path.is_file():
            return [self.path]
        pictures, videos = (
            files_of_kind(self.path, kind) for kind in (PICTURE_SUFFIXES, VIDEO_SUFFIXES)
        )
        made = made_of(videos, pictures)
        files = [file for file in pictures if file not in made]
        if not files:
            raise PosecastError(
                f"{self.path}: a folder without pictures or videos (folders in it are not looked "
                "into); give a video file, a folder of videos, or one of frames "
                f"({', '.join(PICTURE_SUFFIXES)}) with numbers in their names"
            )
        return sorted(files, key=lambda file: (by_numbers(file.stem), file.name))

    def numbers(self) -> list[int]:
        """The last number in each picture's name; [] where they are not all there and rising."""
        found = [re.findall(r"\d+", file.stem) for file in self.pictures()]
        numbers = [int(each[-1]) for each in found if each]
        rising = all(a < b for a, b in itertools.pairwise(numbers))
        return numbers if rising and len(numbers) == len(found) else []

    def describe(self) -> str:
        """Where pictures are missing, for people; "" where none do, as far as their numbers say."""
        steps = np.diff(self.numbers())
        leaps = np.flatnonzero(steps > 1.5 * np.median(steps)) if len(steps) else steps
        if not len(leaps):
            return ""
        more = f" and in {len(leaps) - 1} more places" if len(leaps) > 1 else ""
        before, after = self.pictures()[leaps[0] : leaps[0] + 2]
        return (
            f"pictures are missing between {before.name} and {after.name}{more}: the others follow "
            "each other as if none were, and the person leaps"
        )

    def sizes(self) -> Iterator[tuple[int, int]]:
        """Height and width of each picture, upright, without reading its pixels."""
        for file in self.pictures():
            with _opened(file) as picture:
                turned = picture.getexif().get(_EXIF_ORIENTATION) in _TRANSPOSED
                hw = picture.size if turned else (picture.height, picture.width)
            yield hw

    def read(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """The pictures, RGB, upright, each in its own size."""
        return (read_picture(file) for file in self.pictures())


def by_numbers(name: str) -> list[tuple[int, int | str]]:
    """What sorts names so that 2 comes before 10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]
