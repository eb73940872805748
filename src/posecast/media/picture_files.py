"""Picture files in and out: uint8 RGB `(h, w, 3)`, upright."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from posecast.errors import PosecastError
from posecast.records.files import write_safely

PICTURE_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def write_picture(path: str | Path, picture: UInt8[np.ndarray, "h w 3"]) -> None:
    """Write a PNG, or a JPEG of quality 95, as the suffix says.

    Raises:
        PosecastError: another suffix.
    """
    path = Path(path)
    kind = PICTURE_FORMATS.get(path.suffix.lower())
    if kind is None:
        raise PosecastError(f"{path}: pictures are written as {', '.join(PICTURE_FORMATS)}")
    image = Image.fromarray(picture)
    write_safely(path, lambda partial: image.save(partial, format=kind, quality=95))


def read_picture(path: str | Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read any picture file as RGB, upright.

    Raises:
        PosecastError: missing, truncated or not a picture.
    """
    path = Path(path)
    if not path.is_file():
        raise PosecastError(f"{path}: no such picture file")
    try:
        with Image.open(path) as picture:
            return np.array(ImageOps.exif_transpose(picture).convert("RGB"))
    except OSError as error:
        raise PosecastError(f"{path}: truncated or not a picture ({error})") from error
