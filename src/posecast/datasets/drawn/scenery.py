"""Backgrounds for the drawn people: ball fields, courts, gyms and parks, larger than the frame."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import UInt8

from posecast.datasets.drawn.actions import Place
from posecast.datasets.drawn.painting import line

Colour = Sequence[float | int] | np.ndarray


def draw_scenery(
    place: Place,
    canvas_hw: tuple[int, int],
    ground_y: float,
    body_px: float,
    rng: np.random.Generator,
) -> UInt8[np.ndarray, "h w 3"]:
    """A picture in which somebody of `body_px` pixels stands on the ground at row `ground_y`."""
    canvas = np.zeros((*canvas_hw, 3), np.float32)
    foot_of_wall = int(np.clip(ground_y - body_px * rng.uniform(0.08, 0.4), 8, canvas_hw[0] - 8))
    wall, ground = canvas[:foot_of_wall], canvas[foot_of_wall:]
    painters = {"ball field": _ball_field, "court": _court, "gym": _gym, "park": _park}
    painters[place](wall, ground, body_px, rng)
    seam = canvas[foot_of_wall - 1 : foot_of_wall + 1]
    seam *= 0.75
    canvas *= min(rng.uniform(0.7, 1.35), 165 / float(canvas.mean()))  # not overexposed
    return canvas.clip(0, 255).astype(np.uint8)


def noise(
    hw: tuple[int, int],
    cells: tuple[float | int, ...],
    rng: np.random.Generator,
    stretch: float = 1.0,
) -> np.ndarray:
    """Smooth noise of about unit contrast, summed over cell sizes in pixels; `stretch` widens."""
    total = np.zeros(hw, np.float32)
    for cell in cells:
        rows, columns = int(hw[0] / cell) + 3, int(hw[1] / cell / stretch) + 3
        coarse = rng.normal(0, 1, (rows, columns)).astype(np.float32)
        grown = cv2.resize(coarse, None, fx=cell * stretch, fy=cell, interpolation=cv2.INTER_CUBIC)
        total += grown[: hw[0], : hw[1]]
    return total / np.sqrt(len(cells))


_DETAIL = 0.7
"""Of the contrast of fine texture."""
_PAINTS = ((206, 204, 196), (170, 178, 186), (196, 186, 160), (110, 116, 124))


def _rgb(colour: Colour) -> np.ndarray:
    return np.array(colour, np.float32)


def _hw(picture: np.ndarray) -> tuple[int, int]:
    return picture.shape[0], picture.shape[1]


def _shade(picture: np.ndarray, colour: Colour, pattern: np.ndarray, contrast: float) -> None:
    """One colour, lightened and darkened by a pattern."""
    picture[:] = _rgb(colour) * (1 + contrast * pattern)[..., None]


def _ground(ground: np.ndarray, colour: Colour, contrast: float, rng: np.random.Generator) -> None:
    """Texture that grows towards the viewer."""
    height, width = _hw(ground)
    flat = noise((256, 512), (2.5, 6, 40), rng)
    far = rng.uniform(0.25, 0.45)
    source = np.array(
        [[0, 0], [512, 0], [256 + 256 * far, 256], [256 - 256 * far, 256]], np.float32
    )
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    warp = cv2.getPerspectiveTransform(source, target)
    pattern = cv2.warpPerspective(flat, warp, (width, height), borderMode=cv2.BORDER_REFLECT)
    _shade(ground, colour, pattern, contrast)


def _converging(
    ground: np.ndarray, colour: Colour, count: int, thickness: float | int, rng: np.random.Generator
) -> None:
    """Lines that meet above the ground: boards, lanes, chalk."""
    height, width = _hw(ground)
    point = (rng.uniform(0.2, 0.8) * width, -rng.uniform(0.15, 1.2) * height)
    for x in np.linspace(-0.6, 1.6, count) * width + rng.uniform(-20, 20):
        ends = np.array([[x, height], [point[0], point[1]]])
        line(ground, ends + 0.5, _rgb(colour), max(1, round(thickness)), 0.75)


def _box(picture: np.ndarray, box: tuple[float | int, ...], colour: Colour) -> None:
    """x, y, width, height in pixels."""
    x, y, width, height = (round(float(value)) for value in box)
    region = picture[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]
    region += _rgb(colour) - region  # as drawn sets have it, to the bit


def _sky(wall: np.ndarray, rng: np.random.Generator) -> None:
    height = len(wall)
    top = _rgb(rng.choice([[96, 150, 214], [150, 184, 220], [196, 204, 212]]))
    fade = np.linspace(0, 1, height, dtype=np.float32)[:, None, None] ** 1.5
    wall[:] = top * (1 - fade) + _rgb((222, 230, 238)) * fade
    clouds = noise(_hw(wall), (60, 24, 9), rng, 2.2).clip(0, 1.5)
    wall += (245 - wall) * (clouds * rng.uniform(0.1, 0.5))[..., None]


def _trees(
    wall: np.ndarray, height_px: float, colour: Colour, detail: float, rng: np.random.Generator
) -> None:
    """A hedge or tree line that stands on the foot of the wall."""
    rows, width = _hw(wall)
    edge = noise((8, width), (150, 50), rng)[0] + 0.35 * noise((8, width), (14, 6), rng)[0]
    edge *= 0.16 * height_px
    top = rows - height_px - edge
    covered = np.arange(rows)[:, None] >= top[None]
    leaves = noise(_hw(wall), (3, 7, 18), rng)
    shaded = _rgb(colour) * (1 + 0.42 * detail * leaves)[..., None]
    shaded *= np.linspace(1.1, 0.75, rows, dtype=np.float32)[:, None, None]
    wall[covered] = shaded[covered]


def _fence(wall: np.ndarray, top: float, rng: np.random.Generator) -> None:
    """Chain link, posts and a rail, from row `top` down."""
    rows, width = _hw(wall)
    grey = np.full(3, rng.uniform(70, 200))
    mesh = int(rng.integers(7, 13))
    y, x = np.mgrid[0:rows, 0:width]
    wires = (((x + y) % mesh) < 1) | (((x - y) % mesh) < 1)
    wires[: max(int(top), 0)] = False
    wall[wires] += (_rgb(grey) - wall[wires]) * np.float32(rng.uniform(0.3, 0.7))
    for post in np.arange(rng.uniform(0, 90), width, rng.uniform(70, 150)):
        _box(wall, (post, top - 4, rng.uniform(3, 6), rows), grey)
    _box(wall, (0, top, width, 3), grey)


def _spectators(wall: np.ndarray, count: int, body_px: float, rng: np.random.Generator) -> None:
    """Far people, out of focus."""
    rows, width = _hw(wall)
    for _ in range(count):
        size = body_px * rng.uniform(0.3, 0.6)
        x, foot = rng.uniform(0, width), rows - rng.uniform(0, 0.25) * size
        shirt, legs = _cloth_colour(rng), 0.6 * _cloth_colour(rng)
        skin = np.array([200, 150, 120]) * rng.uniform(0.5, 1.1)
        _box(wall, (x - 0.09 * size, foot - 0.5 * size, 0.18 * size, 0.5 * size), legs)
        for middle, wide, high, colour in ((0.66, 0.13, 0.2, shirt), (0.92, 0.06, 0.08, skin)):
            place, axes = (round(x), round(foot - middle * size)), (wide * size, high * size)
            axes = (round(axes[0]), round(axes[1]))
            cv2.ellipse(wall, place, axes, 0, 0, 360, colour.tolist(), -1, cv2.LINE_AA)
    if count:
        wall[:] = cv2.GaussianBlur(wall, (0, 0), rng.uniform(0.8, 2.0))


def _cloth_colour(rng: np.random.Generator) -> np.ndarray:
    """Any colour, rarely a glaring one."""
    grey = rng.uniform(25, 235)
    return (grey + rng.normal(0, 32, 3)).clip(8, 248)


def _building(wall: np.ndarray, rng: np.random.Generator) -> None:
    rows, width = _hw(wall)
    wide, high = rng.uniform(0.2, 0.6) * width, rng.uniform(0.3, 0.8) * rows
    left = rng.uniform(-0.1, 0.8) * width
    colour = rng.uniform(70, 210) * np.array([1.05, 1.0, 0.92]) * rng.uniform(0.85, 1.1, 3)
    _box(wall, (left, rows - high, wide, high), colour)
    step = rng.uniform(16, 34)
    glass = np.array([90, 110, 130]) * rng.uniform(0.4, 1.3)
    for y in np.arange(rows - high + 6, rows - 8, step):
        for x in np.arange(left + 6, left + wide - step / 2, step):
            _box(wall, (x, y, step * 0.5, step * 0.6), glass)


def _banners(wall: np.ndarray, high: float, rng: np.random.Generator) -> None:
    """Advertising boards with letter-like bars along the foot of the wall."""
    rows, width = _hw(wall)
    x = -rng.uniform(0, 100)
    while x < width:
        wide = rng.uniform(60, 170)
        back, front = _cloth_colour(rng), _cloth_colour(rng)
        _box(wall, (x, rows - high, wide - 2, high), back)
        for letter in np.arange(x + 8, x + wide - 12, high * 0.45):
            tall = high * rng.uniform(0.3, 0.55)
            _box(wall, (letter, rows - high * 0.75, high * rng.uniform(0.12, 0.3), tall), front)
        x += wide


def _ball_field(
    wall: np.ndarray, ground: np.ndarray, body_px: float, rng: np.random.Generator
) -> None:
    _sky(wall, rng)
    _trees(wall, body_px * rng.uniform(0.5, 1.2), (52, 84, 44), _DETAIL, rng)
    if rng.random() < 0.5:
        _banners(wall, body_px * rng.uniform(0.2, 0.4), rng)
    _spectators(wall, int(rng.integers(0, 14)), body_px, rng)
    _fence(wall, len(wall) - body_px * rng.uniform(0.5, 1.1), rng)
    dirt, grass = (162, 118, 84), (86, 130, 62)
    _ground(ground, dirt if rng.random() < 0.6 else grass, 0.17 * _DETAIL, rng)
    if rng.random() < 0.7:
        band = ground[: len(ground) // 4]
        _ground(band, grass, 0.2 * _DETAIL, rng)
    _converging(ground, (236, 232, 224), int(rng.integers(1, 4)), rng.uniform(2, 5), rng)


def _court(wall: np.ndarray, ground: np.ndarray, body_px: float, rng: np.random.Generator) -> None:
    _sky(wall, rng)
    _trees(wall, body_px * rng.uniform(0.8, 1.4), (58, 90, 48), _DETAIL, rng)
    screen = body_px * rng.uniform(0.6, 1.1)
    cloth = [(24, 66, 52), (28, 52, 92), (60, 66, 70), (20, 40, 34)][int(rng.integers(4))]
    folds = noise((round(screen), wall.shape[1]), (50, 12, 4), rng)
    strip = wall[-round(screen) :]
    _shade(strip, cloth, folds[-len(strip) :], 0.16 * _DETAIL)
    if rng.random() < 0.6:
        _banners(wall, screen * rng.uniform(0.3, 0.5), rng)
    _spectators(wall, int(rng.integers(0, 6)), body_px, rng)
    _fence(wall, len(wall) - screen * rng.uniform(1.0, 1.3), rng)
    surface = [(70, 110, 158), (66, 124, 88), (178, 96, 62), (96, 92, 140)][int(rng.integers(4))]
    _ground(ground, surface, 0.07 * _DETAIL, rng)
    _converging(ground, (240, 240, 236), int(rng.integers(3, 6)), rng.uniform(2, 5), rng)
    for share in rng.uniform(0.05, 0.9, 2):
        _box(ground, (0, share * len(ground), ground.shape[1], rng.uniform(2, 5)), (240, 240, 236))


def _gym(wall: np.ndarray, ground: np.ndarray, body_px: float, rng: np.random.Generator) -> None:
    rows, width = _hw(wall)
    paint = _PAINTS[int(rng.integers(len(_PAINTS)))]
    _shade(wall, paint, noise(_hw(wall), (120, 40, 3), rng), 0.07 * _DETAIL)
    accent = _cloth_colour(rng)
    _box(wall, (0, rows * rng.uniform(0.3, 0.7), width, body_px * rng.uniform(0.08, 0.3)), accent)
    for _ in range(int(rng.integers(0, 4))):  # windows or mirrors
        size = body_px * rng.uniform(0.4, 0.9, 2)
        corner = rng.uniform(0, [width, 0.5 * rows])
        _box(wall, (*corner, *size), np.full(3, rng.uniform(190, 250)))
        _box(wall, (corner[0] + size[0] / 2, corner[1], 3, size[1]), (60, 60, 64))
    _rack(wall, body_px, rng)
    _spectators(wall, int(rng.integers(0, 3)), 1.6 * body_px, rng)
    if rng.random() < 0.5:
        _ground(ground, (172, 128, 84), 0.10 * _DETAIL, rng)
        _converging(ground, (112, 78, 48), 22, 1, rng)
    else:
        _ground(ground, (58, 60, 64), 0.22 * _DETAIL, rng)
        _converging(ground, (28, 28, 30), 8, 2, rng)


def _rack(wall: np.ndarray, body_px: float, rng: np.random.Generator) -> None:
    """Uprights, shelves and weights."""
    rows, width = _hw(wall)
    steel = np.full(3, rng.uniform(30, 120))
    for x in np.arange(rng.uniform(0, 60), width, body_px * rng.uniform(0.3, 0.7)):
        top = rows - body_px * rng.uniform(0.4, 1.2)
        _box(wall, (x, top, rng.uniform(3, 7), rows), steel)
        for _ in range(int(rng.integers(0, 4))):
            height = rng.uniform(0.05, 1.0) * body_px
            centre = (round(x + rng.uniform(-15, 25)), round(rows - height))
            black = np.full(3, rng.uniform(15, 70))
            colour = black if rng.random() < 0.7 else _cloth_colour(rng)
            radius = max(round(body_px * rng.uniform(0.04, 0.12)), 2)
            cv2.circle(wall, centre, radius, colour.tolist(), -1)
            cv2.circle(wall, centre, max(radius // 3, 1), (130, 130, 134), -1)
    for _ in range(int(rng.integers(1, 4))):
        y = rows - rng.uniform(0.1, 1.1) * body_px
        _box(wall, (rng.uniform(0, 0.6) * width, y, rng.uniform(0.2, 0.6) * width, 4), steel)


def _park(wall: np.ndarray, ground: np.ndarray, body_px: float, rng: np.random.Generator) -> None:
    _sky(wall, rng)
    for _ in range(int(rng.integers(0, 3))):
        _building(wall, rng)
    _trees(wall, body_px * rng.uniform(0.3, 1.3), (62, 96, 48), _DETAIL, rng)
    if rng.random() < 0.6:
        _trees(wall, body_px * rng.uniform(0.12, 0.4), (88, 122, 52), 1.2 * _DETAIL, rng)
    _spectators(wall, int(rng.integers(0, 4)), body_px, rng)
    grass = [(92, 136, 62), (110, 138, 72), (150, 146, 136)][int(rng.integers(3))]
    _ground(ground, grass, 0.2 * _DETAIL, rng)
    if rng.random() < 0.4:
        _converging(ground, (196, 190, 178), 2, rng.uniform(6, 20), rng)
