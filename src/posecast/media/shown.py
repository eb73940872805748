"""What a player shows of a stored picture: turned, mirrored, of square pixels, of one size.

A video file may ask for any of eight orientations (phones store the sensor's), for pixels that are
not square (tapes, broadcasts), and may change its size on the way (recorded calls). The first frame
says how large the video is shown; a later one of another size is brought to that, and one of
another shape is shown as large as fits, between black bars.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

_LEAST_STRETCH = 0.005
"""Pixels less oblong than this count as square: files say 1280:1281 where a size was rounded."""
_SAME_SHAPE = 0.02
"""Pictures whose shapes differ by less fill the same rectangle."""


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to turn and mirror a picture."""

    transposed: bool = False
    """Rows become columns, first of all."""
    mirrored: bool = False
    """Then left and right change places."""
    upside_down: bool = False
    """Then top and bottom change places."""

    @classmethod
    def of_matrix(cls, matrix: Sequence[int]) -> "Orientation":
        """The nearest to a display matrix a b u, c d v, x y w.

        It shows the point (x, y) at (a x + c y, b x + d y), but for what is added to both.
        Source: ISO/IEC 14496-12, track header box.
        """
        a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(True, mirrored=c < 0, upside_down=b < 0)
        return cls(False, mirrored=a < 0, upside_down=d < 0)

    @classmethod
    def of_degrees(cls, degrees: int) -> "Orientation":
        """Turned against the clock, by quarters."""
        quarters = round(degrees / 90) % 4
        return cls(quarters in (1, 3), mirrored=quarters in (2, 3), upside_down=quarters in (1, 2))

    def apply(self, picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        """The picture as it is shown."""
        if self.transposed:
            picture = picture.transpose(1, 0, 2)
        rows = slice(None, None, -1 if self.upside_down else 1)
        columns = slice(None, None, -1 if self.mirrored else 1)
        return np.ascontiguousarray(picture[rows, columns])


@dataclass(frozen=True)
class Look:
    """How one stored picture is shown, before it is brought to the size of the first."""

    stored_hw: tuple[int, int]
    """Stored pixels, turned upright: what other programs measure in."""
    hw: tuple[int, int]
    """The same in square pixels."""
    orientation: Orientation = Orientation()

    @classmethod
    def of(cls, stored_wh: tuple[int, int], aspect: float, orientation: Orientation) -> "Look":
        """`aspect`: width of a stored pixel as a share of its height; 0 where nobody says."""
        width, height = stored_wh
        oblong = aspect > 0 and abs(aspect - 1) >= _LEAST_STRETCH
        wide = max(round(width * aspect), 1) if oblong else width
        sizes = (height, width), (height, wide)
        if orientation.transposed:
            sizes = (width, height), (wide, height)
        return cls(*sizes, orientation)


def place_in(hw: tuple[int, int], shown_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where a picture of size `hw` lies in what is shown: x, y, width, height."""
    scale = min(shown_hw[0] / hw[0], shown_hw[1] / hw[1])
    if max(shown_hw[0] / hw[0], shown_hw[1] / hw[1]) < (1 + _SAME_SHAPE) * scale:
        return 0, 0, shown_hw[1], shown_hw[0]
    height, width = max(round(hw[0] * scale), 1), max(round(hw[1] * scale), 1)
    return (shown_hw[1] - width) // 2, (shown_hw[0] - height) // 2, width, height


def show(
    picture: UInt8[np.ndarray, "h w 3"], look: Look, shown_hw: tuple[int, int]
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The stored picture as a player shows it in a window of `shown_hw`."""
    picture = look.orientation.apply(picture)
    x, y, width, height = place_in(look.hw, shown_hw)
    if picture.shape[:2] != (height, width):
        shrinks = height * width < picture.shape[0] * picture.shape[1]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        picture = cv2.resize(picture, (width, height), interpolation=how)
    if (height, width) == shown_hw:
        return picture
    window = np.zeros((*shown_hw, 3), np.uint8)
    window[y : y + height, x : x + width] = picture
    return window


def to_shown(
    points: Float[np.ndarray, "t j 2"], stored_hw: tuple[int, int], places: Float[np.ndarray, "t 4"]
) -> Float[np.ndarray, "t j 2"]:
    """Points in stored pixels of the first frame -> pixels of what is shown.

    OpenCV and ffmpeg, which other programs read with, stretch every frame to the first one's
    stored size. `places`: x, y, width, height of each frame's picture in what is shown.
    """
    share = points / np.array(stored_hw[::-1], float)
    return places[:, None, :2] + share * places[:, None, 2:]


def to_stored(
    points: Float[np.ndarray, "t j 2"], stored_hw: tuple[int, int], places: Float[np.ndarray, "t 4"]
) -> Float[np.ndarray, "t j 2"]:
    """The way back of `to_shown`."""
    share = (points - places[:, None, :2]) / places[:, None, 2:]
    return share * np.array(stored_hw[::-1], float)
