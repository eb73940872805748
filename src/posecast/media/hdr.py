"""HDR video (ITU-R BT.2100: PQ, HLG) as a usual screen shows it.

Numbers become light, from the primaries of BT.2020 to those of BT.709, and light becomes grey
levels of eight bits, channel by channel. White is what a page is (203 cd/m2, BT.2408); what is
brighter is brought under the brightest grey level.
"""

import functools

import cv2
import numpy as np
from jaxtyping import UInt8, UInt16

PQ, HLG = 16, 18
"""Transfer characteristics of ITU-T H.273."""
_WHITE, _BRIGHTEST_PQ, _BRIGHTEST_HLG = 203.0, 10_000.0, 1000.0
"""cd/m2."""
_MOST, _STEPS = 2**16 - 1, 2**13
"""The greatest number of 16 bits, and that of white as light."""
_KNEE = 0.75
"""Light, white being 1, from which on it is held back."""
_LUT_OF_16_BITS = tuple(map(int, cv2.__version__.split(".")[:2])) >= (4, 13)
_BRIGHTNESS = np.array([[0.2627, 0.6780, 0.0593]])
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)


def as_shown(picture: UInt16[np.ndarray, "h w 3"], transfer: int) -> UInt8[np.ndarray, "h w 3"]:
    """Of full range, its transfer PQ or HLG."""
    light = _looked_up(_pq(), picture) if transfer == PQ else _of_hlg(picture)
    shown = cv2.transform(light, _TO_BT709)  # cut off at 0 and at 16 bits
    return _looked_up(_levels(), shown)


def _of_hlg(picture: UInt16[np.ndarray, "h w 3"]) -> UInt16[np.ndarray, "h w 3"]:
    """Light of a screen, whose gamma of 1.2 is that of the brightness."""
    scene, gamma = _hlg()
    light = _looked_up(scene, picture)
    gain = _looked_up(gamma, cv2.transform(light, _BRIGHTNESS))
    scale = _BRIGHTEST_HLG / _WHITE * _STEPS / _MOST**2
    return np.asarray(cv2.multiply(light, cv2.merge([gain] * 3), scale=scale), np.uint16)


def _looked_up(table: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """`table[numbers]`, for which numpy takes four times as long as OpenCV, where that can."""
    return np.asarray(cv2.LUT(numbers, table)) if _LUT_OF_16_BITS else table[numbers]


@functools.cache
def _pq() -> UInt16[np.ndarray, "65536"]:
    """Light of each number that a channel may have (SMPTE ST 2084)."""
    root = np.linspace(0, 1, _MOST + 1) ** (1 / 78.84375)
    share = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    light = share ** (1 / 0.1593017578125) * _BRIGHTEST_PQ / _WHITE * _STEPS
    return light.round().clip(0, _MOST).astype(np.uint16)


@functools.cache
def _hlg() -> tuple[UInt16[np.ndarray, "65536"], UInt16[np.ndarray, "65536"]]:
    """Light of the scene of each number (ARIB STD-B67), and by what each brightness is brought to a
    screen's; both as shares of 16 bits."""
    number = np.linspace(0, 1, _MOST + 1)
    bright = (np.exp((number - 0.55991073) / 0.17883277) + 0.28466892) / 12
    both = np.where(number <= 0.5, number**2 / 3, bright), number**0.2
    scene, gamma = ((_MOST * each).round().clip(0, _MOST).astype(np.uint16) for each in both)
    return scene, gamma


@functools.cache
def _levels() -> UInt8[np.ndarray, "65536"]:
    """sRGB's grey level of each light."""
    light, room = np.arange(_MOST + 1) / _STEPS, 1 - _KNEE
    over = np.maximum(light - _KNEE, 0)
    light = np.minimum(light, _KNEE) + over * room / (over + room)
    levels = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * levels).round().astype(np.uint8)
