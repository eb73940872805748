"""Who is drawn: bodies, skin, hair and clothes, drawn at random."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import map_coordinates

from posecast.datasets.drawn.actions import Tool

_SKINS = ((236, 196, 170), (222, 172, 138), (198, 144, 108), (160, 108, 76), (112, 74, 52))
_HAIRS = ((30, 24, 20), (66, 44, 28), (110, 78, 44), (176, 140, 84), (120, 120, 118))
_CLOTHS = (
    *((245, 245, 240), (34, 36, 44), (176, 32, 38), (28, 60, 140), (40, 120, 70)),
    *((232, 190, 50), (90, 60, 130), (70, 130, 190), (120, 122, 126), (220, 110, 40)),
)
_TROUSERS = (
    *((236, 236, 232), (36, 38, 46), (60, 62, 70)),
    *((40, 56, 96), (140, 130, 110), (170, 40, 44)),
)
_PLATES = ((28, 28, 30), (160, 30, 34), (30, 60, 150), (220, 180, 40), (40, 110, 60))
_TOOL_COLOURS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "ball": ((245, 243, 235),),
    "bat": ((196, 152, 96), (50, 50, 54), (180, 182, 188)),
    "barbell": _PLATES,
    "club": ((178, 180, 186),),
    "racket": ((200, 40, 40), (30, 30, 34), (40, 80, 180)),
    "rope": ((245, 245, 240), (40, 40, 42), (230, 80, 40)),
}


@dataclass(frozen=True)
class Person:
    """How somebody looks."""

    textures: dict[str, Float[np.ndarray, "u v 3"]]
    """Part -> colours along (u) and across (v) it, 0 to 255."""
    girth: float
    """Widths as a multiple of the mean person's."""
    skin: Float[np.ndarray, "3"]
    hair: Float[np.ndarray, "3"]
    hair_line: float
    """How far down the hair reaches at the back: 0 the ears, -1 the neck."""
    cap: Float[np.ndarray, "3"] | None
    tool: Tool
    tool_colour: Float[np.ndarray, "3"]
    light: tuple[float, float]
    """Horizontal direction of the light (right positive) and its softness, 0 to 1."""


def random_person(tool: Tool, rng: np.random.Generator) -> Person:
    """Somebody with clothes that suit the tool."""
    skin = _vary(_pick(_SKINS, rng), 8.0, rng)
    shirt, trousers = _vary(_pick(_CLOTHS, rng), 12.0, rng), _vary(_pick(_TROUSERS, rng), 10.0, rng)
    other = _vary(_pick(_CLOTHS, rng), 12.0, rng)
    sleeve = float(rng.choice([0.0, 0.75, 2.0], p=[0.2, 0.6, 0.2]))
    leg = 2.0 if tool in ("bat", "ball", "club") else float(rng.choice([0.6, 0.95, 2.0]))
    if tool == "ball":
        leg = float(rng.choice([0.9, 2.0], p=[0.3, 0.7]))
    cloth = _pattern(shirt, other, rng)
    sock = _vary(_pick(((240, 240, 236), (30, 30, 34)), rng), 6.0, rng)
    shoe = _vary(_pick(_CLOTHS, rng), 10.0, rng)
    legs = _cloth(np.tile(trousers, (48, 24, 1)), 0.10, rng)
    textures = {
        "shirt": cloth,
        "hips": legs[:24],
        "upper_arm": _sleeve(_pattern(shirt, shirt, rng), skin, sleeve, rng),
        "forearm": _sleeve(_pattern(shirt, shirt, rng), skin, sleeve - 1, rng),
        "thigh": _sleeve(legs, skin, leg, rng),
        "shank": _socked(_sleeve(legs, skin, leg - 1, rng), sock, leg < 1, rng),
        "shoe": _cloth(np.tile(shoe, (12, 12, 1)), 0.08, rng),
        "hand": np.tile(skin, (2, 2, 1)),
        "neck": np.tile(skin * 0.92, (2, 2, 1)),
    }
    capped = rng.random() < {"bat": 0.95, "ball": 0.9, "club": 0.6, "racket": 0.4}.get(tool, 0.05)
    return Person(
        textures={name: texture.astype(np.float32) for name, texture in textures.items()},
        girth=float(np.clip(rng.normal(1.0, 0.1), 0.82, 1.25)),
        skin=skin,
        hair=_vary(_pick(_HAIRS, rng), 8.0, rng),
        hair_line=float(rng.choice([-0.3, -0.5, -1.2])),
        cap=_vary(_pick(_CLOTHS, rng), 10.0, rng) if capped else None,
        tool=tool,
        tool_colour=np.array(_pick(_TOOL_COLOURS.get(tool, _PLATES), rng), float),
        light=(float(rng.choice([-1, 1]) * rng.uniform(0.4, 1.0)), float(rng.uniform(0, 0.7))),
    )


def _pick(
    colours: tuple[tuple[int, int, int], ...], rng: np.random.Generator
) -> tuple[int, int, int]:
    return colours[int(rng.integers(len(colours)))]


def _vary(colour: tuple[int, int, int], amount: float, rng: np.random.Generator) -> np.ndarray:
    return (np.array(colour, float) + rng.normal(0, amount, 3)).clip(8, 250)


def _cloth(colours: np.ndarray, folds: float, rng: np.random.Generator) -> np.ndarray:
    """Folds: brightness that changes slowly over the cloth."""
    coarse = rng.normal(0, 1, (7, 5))
    rows, columns = np.linspace(0, 5.999, len(colours)), np.linspace(0, 3.999, colours.shape[1])
    places = np.meshgrid(rows, columns, indexing="ij")
    return colours * (1 + folds * map_coordinates(coarse, places, order=1))[..., None]


def _pattern(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A shirt: plain, stripes along or across, a chest band, or a number-like patch."""
    rows, columns = np.mgrid[0:48, 0:24]
    kind = rng.choice(
        ["plain", "hoops", "stripes", "band", "patch"], p=[0.35, 0.15, 0.15, 0.15, 0.2]
    )
    marks = {
        "plain": rows < 0,
        "hoops": rows // 4 % 2 == 1,
        "stripes": columns // 3 % 2 == 1,
        "band": (rows > 10) & (rows < 20),
        "patch": (np.abs(rows - 20) < 8) & (np.abs(columns - 11.5) < 4),
    }[str(kind)]
    return _cloth(np.where(marks[..., None], second, first), 0.10, rng)


def _sleeve(
    cloth: np.ndarray, skin: np.ndarray, share: float, rng: np.random.Generator
) -> np.ndarray:
    """Cloth down to `share` of the limb, skin below."""
    bare = np.arange(len(cloth))[:, None, None] >= share * len(cloth)
    return np.where(bare, _cloth(np.tile(skin, (len(cloth), cloth.shape[1], 1)), 0.03, rng), cloth)


def _socked(leg: np.ndarray, sock: np.ndarray, bare: bool, rng: np.random.Generator) -> np.ndarray:
    """A sock on a bare shank."""
    if not bare:
        return leg
    top = rng.uniform(0.55, 0.95)
    covered = np.arange(len(leg))[:, None, None] >= top * len(leg)
    return np.where(covered, sock, leg)
