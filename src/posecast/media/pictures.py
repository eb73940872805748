"""Drawing on pictures: skeletons, borders, captions, panels and contact sheets.

Pure functions: uint8 RGB `(h, w, 3)` in, a new picture out. Joints are in pixels of the picture
that is drawn on, (0, 0) its top-left corner, as `joints_px` in `clips`.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from posecast.errors import PosecastError
from posecast.geometry import Crop, px_to_crop
from posecast.skeletons import JointGroup, Skeleton

Picture = UInt8[np.ndarray, "h w 3"]
Larger = UInt8[np.ndarray, "h2 w2 3"]
"""A picture, and what is made of one whose size changes."""
Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

SEEN: Final[Colour] = (40, 180, 70)
PREDICTED: Final[Colour] = (220, 50, 40)
"""Borders of frames that were seen and of frames that a model made up."""

LEFT: Final[Colour] = (255, 150, 30)
RIGHT: Final[Colour] = (60, 160, 255)
MIDDLE: Final[Colour] = (250, 250, 250)
"""Limbs of the person's left side, right side, and across; apart also for the colour-blind."""

GROUND: Final[Colour] = (45, 48, 55)
"""Where there is no picture."""

_OUTLINE: Final[Colour] = (20, 20, 20)
_INK: Final[Colour] = (235, 235, 235)
_GROUND: Final[Colour] = (24, 26, 30)
"""Text, and what is behind it and between panels."""
_SUBPIXEL_BITS: Final = 4
_FARTHEST_PX: Final = 1 << 14


def _limb_colour(ends: Sequence[JointGroup]) -> Colour:
    sides = {joint.split("_")[0] for end in ends for joint in end} & {"left", "right"}
    if sides == {"left"}:
        return LEFT
    return RIGHT if sides == {"right"} else MIDDLE


def _end_of_limb(
    joints: Float[np.ndarray, "j 2"],
    visible: Bool[np.ndarray, "j"],
    skeleton: Skeleton,
    end: JointGroup,
) -> tuple[int, int] | None:
    """OpenCV's fixed-point position of a joint, or of the midpoint of several; None if unseen."""
    indices = [skeleton.index(name) for name in end]
    point = joints[indices].mean(axis=0)
    if not visible[indices].all() or not np.isfinite(point).all():
        return None
    # OpenCV puts pixel centres at whole numbers. Clipped so that its integers do not overflow.
    point = np.clip(point - 0.5, -_FARTHEST_PX, _FARTHEST_PX)
    x, y = np.round(point * 2**_SUBPIXEL_BITS).astype(int).tolist()
    return x, y


def draw_pose(
    image: Picture,
    joints: Float[np.ndarray, "j 2"],
    visible: Bool[np.ndarray, "j"],
    skeleton: Skeleton,
    outline: bool = True,
) -> Picture:
    """Draw the limbs between visible joints, anti-aliased, left and right in their colours.

    joints in pixels of `image`; those hidden or not finite are left out. Line width follows the
    picture: 2 px at 128, 4 px at 256. `outline` sets the limbs off from a busy background.
    """
    canvas = image.copy()
    thickness = max(1, round(min(image.shape[:2]) / 64))
    limbs = []
    for limb in skeleton.limbs:
        start, end = (_end_of_limb(joints, visible, skeleton, group) for group in limb)
        if start is not None and end is not None:
            limbs.append((start, end, _limb_colour(limb)))
    strokes = [(start, end, _OUTLINE, thickness + 2) for start, end, _ in limbs if outline]
    strokes += [(*limb, thickness) for limb in limbs]
    for start, end, colour, width in strokes:
        cv2.line(canvas, start, end, colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)
    return canvas


def pose_on_plain(
    joints: Float[np.ndarray, "j 2"],
    visible: Bool[np.ndarray, "j"],
    skeleton: Skeleton,
    hw: tuple[int, int],
    background: Colour = GROUND,
) -> Picture:
    """The pose alone on an even ground."""
    return draw_pose(plain(hw, background), joints, visible, skeleton, outline=False)


def pose_in_crop(
    joints_px: Float[np.ndarray, "j 2"],
    visible: Bool[np.ndarray, "j"],
    crop: Crop,
    skeleton: Skeleton,
    side: int,
) -> Picture:
    """The pose in a crop of the source, on an even ground of side x side pixels."""
    return pose_on_plain(px_to_crop(joints_px, crop) * side, visible, skeleton, (side, side))


def plain(hw: tuple[int, int], colour: Colour) -> Picture:
    """A picture of one colour."""
    return np.full((*hw, 3), colour, np.uint8)


def add_border(image: Picture, colour: Colour, width: int = 3) -> Larger:
    """Frame the picture outside, so that nothing of it is hidden: each side grows by 2 * width."""
    return cv2.copyMakeBorder(image, width, width, width, width, cv2.BORDER_CONSTANT, value=colour)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def add_caption(image: Picture, text: str, height: int = 16) -> UInt8[np.ndarray, "h2 w 3"]:
    """Put a strip of `height` pixels with a line of text above the picture."""
    strip = Image.fromarray(plain((height, image.shape[1]), _GROUND))
    place = (image.shape[1] / 2, height / 2)
    ImageDraw.Draw(strip).text(place, text, _INK, _font(round(0.7 * height)), anchor="mm")
    return np.concatenate([np.asarray(strip), image])


def panel(picture: Picture, colour: Colour, text: str, height: int = 16) -> Larger:
    """The picture in a border of that colour, a line of text above it, `height` pixels high."""
    return add_caption(add_border(picture, colour), text, height)


def enlarge(image: Picture, times: float | int) -> Larger:
    """Scale a picture up for viewing (bicubic); never measure anything on the result."""
    if times == 1:
        return image
    return cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)


def side_by_side(panels: Sequence[UInt8[np.ndarray, "_ _ 3"]], gap: int = 4) -> Picture:
    """Put pictures of one height next to each other.

    PosecastError: no panels, or their heights differ.
    """
    heights = {panel.shape[0] for panel in panels}
    if len(heights) != 1:
        raise PosecastError(f"panels must be of one height, got heights {sorted(heights)}")
    bar = plain((heights.pop(), gap), _GROUND)
    row = [part for panel in panels for part in (bar, panel)][1:]
    return np.concatenate(row, axis=1)


def contact_sheet(pictures: Sequence[Picture], columns: int, gap: int = 2) -> Larger:
    """Pictures of one size in rows, left to right, top to bottom; empty places stay white.

    PosecastError: no pictures, several sizes, or columns under 1.
    """
    sizes = {picture.shape[:2] for picture in pictures}
    if len(sizes) != 1 or columns < 1:
        raise PosecastError(
            f"a contact sheet needs pictures of one size and at least one column, "
            f"got sizes {sorted(sizes)} and {columns} columns"
        )
    height, width = sizes.pop()
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = plain((rows * (height + gap) - gap, columns * (width + gap) - gap), (255, 255, 255))
    for index, picture in enumerate(pictures):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet
