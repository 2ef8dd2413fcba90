"""Scenes of coloured shapes, described as data and drawn with smooth edges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Rgb = tuple[int, int, int]
Point = tuple[float, float]
Arrangement = Literal["empty", "single", "row", "column", "diagonal"]

COLOURS: Final[dict[str, Rgb]] = {
    "red": (222, 38, 38),
    "orange": (246, 138, 30),
    "yellow": (250, 222, 52),
    "green": (40, 164, 70),
    "blue": (36, 84, 222),
    "purple": (132, 56, 182),
    "pink": (250, 150, 196),
    "white": (246, 246, 246),
    "black": (24, 24, 26),
}
SHAPES: Final = ("circle", "square", "triangle", "star", "heart", "moon")
SIZES: Final = ("small", "medium", "big")

LANDSCAPES: Final[dict[str, tuple[Rgb, Rgb, Rgb, Rgb]]] = {
    "meadow": ((86, 168, 240), (188, 224, 250), (96, 186, 72), (48, 128, 44)),
    "night": ((10, 12, 44), (34, 38, 92), (22, 26, 52), (10, 12, 26)),
    "sunset": ((92, 46, 128), (252, 150, 84), (104, 58, 72), (52, 28, 44)),
    "sea": ((150, 206, 246), (222, 240, 252), (26, 116, 176), (10, 64, 122)),
    "desert": ((120, 190, 238), (236, 236, 220), (234, 198, 122), (204, 152, 80)),
    "snow": ((156, 178, 206), (212, 222, 234), (250, 252, 254), (218, 228, 240)),
}
"""Sky at the top and at the horizon, ground at the horizon and at the bottom."""

_HORIZON: Final = 0.68
_NIGHT_STARS: Final[tuple[Point, ...]] = (
    (0.07, 0.09),
    (0.18, 0.30),
    (0.31, 0.13),
    (0.40, 0.42),
    (0.52, 0.07),
    (0.61, 0.25),
    (0.72, 0.12),
    (0.83, 0.34),
    (0.93, 0.16),
    (0.10, 0.52),
    (0.66, 0.50),
    (0.91, 0.55),
)
_NIGHT_STAR_RADIUS: Final = 0.008
_SINGLE_RADIUS: Final = {"small": 0.11, "medium": 0.18, "big": 0.27}
_PAIR_RADIUS: Final = {"small": 0.10, "medium": 0.145, "big": 0.20}
_GRID: Final = (0.26, 0.5, 0.74)
_JITTER: Final = 0.025
_SUPERSAMPLING: Final = 4
_LEAST_CONTRAST: Final = 95.0


@dataclass(frozen=True, slots=True)
class Thing:
    """One shape; ``x`` and ``y`` are its centre as fractions of the width and the height."""

    shape: str
    colour: str
    size: str
    x: float
    y: float
    radius: float
    """A fraction of the image's shorter side."""
    column: int
    """0 left, 1 middle, 2 right."""
    row: int
    """0 top, 1 middle, 2 bottom."""


@dataclass(frozen=True, slots=True)
class Background:
    """A plain colour, a gradient from the top to the bottom, or a landscape."""

    kind: str
    """``plain``, ``gradient`` or a name in :data:`LANDSCAPES`."""
    colours: tuple[str, ...] = ()
    """One colour for ``plain``, two for ``gradient``, none for a landscape."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A background and up to two things; of two, the first is further left or further up."""

    background: Background
    things: tuple[Thing, ...]
    arrangement: Arrangement


def sample_scene(rng: Random) -> Scene:
    """Draw a scene at random; the same state of ``rng`` gives the same scene."""
    background = _sample_background(rng)
    arrangements: tuple[Arrangement, ...] = ("empty", "single", "row", "column", "diagonal")
    arrangement = rng.choices(arrangements, weights=(4, 48, 22, 20, 6))[0]
    if arrangement == "empty":
        return Scene(background, (), "empty")
    if arrangement == "single":
        cell = (rng.randrange(3), rng.randrange(3)) if rng.random() < 0.75 else (1, 1)
        return Scene(background, (_sample_thing(rng, background, cell, _SINGLE_RADIUS),), "single")
    cells = _pair_cells(rng, arrangement)
    first = _sample_thing(rng, background, cells[0], _PAIR_RADIUS)
    second = _sample_thing(rng, background, cells[1], _PAIR_RADIUS)
    if rng.random() < 0.12:
        second = Thing(
            first.shape,
            first.colour,
            first.size,
            second.x,
            second.y,
            first.radius,
            second.column,
            second.row,
        )
    return Scene(background, (first, second), arrangement)


def scene_at(seed: int, index: int) -> Scene:
    """Scene ``index`` of the endless list that ``seed`` stands for."""
    return sample_scene(Random(f"scene:{seed}:{index}"))


def draw(scene: Scene, width: int, height: int) -> NDArray[np.uint8]:
    """Draw a scene as RGB bytes of shape (height, width, 3), with smooth edges."""
    image = _draw_background(scene.background, width, height)
    short = min(width, height)
    for thing in scene.things:
        left, top, reach = thing.x * width, thing.y * height, thing.radius * short
        outline = [(left + x * reach, top + y * reach) for x, y in _OUTLINES[thing.shape]]
        _fill(image, outline, COLOURS[thing.colour])
    return np.asarray(image)


def background_colour(background: Background, y: float) -> Rgb:
    """The background's colour at height ``y``, 0 at the top and 1 at the bottom."""
    column = _background_column(background, 256)
    red, green, blue = (round(float(value)) for value in column[min(255, int(y * 256))])
    return red, green, blue


def _sample_background(rng: Random) -> Background:
    kind = rng.choices(("plain", "gradient", "landscape"), weights=(52, 14, 34))[0]
    if kind == "plain":
        return Background("plain", (rng.choice(tuple(COLOURS)),))
    if kind == "gradient":
        first, second = rng.sample(tuple(COLOURS), 2)
        return Background("gradient", (first, second))
    return Background(rng.choice(tuple(LANDSCAPES)))


def _pair_cells(rng: Random, arrangement: str) -> tuple[tuple[int, int], tuple[int, int]]:
    lane = rng.choices((0, 1, 2), weights=(1, 4, 1))[0]
    if arrangement == "row":
        return (0, lane), (2, lane)
    if arrangement == "column":
        return (lane, 0), (lane, 2)
    return ((0, 0), (2, 2)) if rng.random() < 0.5 else ((0, 2), (2, 0))


def _sample_thing(
    rng: Random, background: Background, cell: tuple[int, int], radii: dict[str, float]
) -> Thing:
    size = rng.choice(SIZES)
    y = _GRID[cell[1]] + rng.uniform(-_JITTER, _JITTER)
    behind = background_colour(background, y)
    visible = [name for name, rgb in COLOURS.items() if math.dist(rgb, behind) > _LEAST_CONTRAST]
    return Thing(
        shape=rng.choice(SHAPES),
        colour=rng.choice(visible),
        size=size,
        x=_GRID[cell[0]] + rng.uniform(-_JITTER, _JITTER),
        y=y,
        radius=radii[size] * rng.uniform(0.94, 1.06),
        column=cell[0],
        row=cell[1],
    )


def _background_column(background: Background, height: int) -> NDArray[np.float64]:
    place = ((np.arange(height) + 0.5) / height)[:, None]
    if background.kind == "plain":
        return np.repeat(np.array([COLOURS[background.colours[0]]], dtype=np.float64), height, 0)
    if background.kind == "gradient":
        top, bottom = (np.array(COLOURS[name], dtype=np.float64) for name in background.colours)
        return top + (bottom - top) * place
    sky_top, sky_low, ground_high, ground_low = (
        np.array(rgb, dtype=np.float64) for rgb in LANDSCAPES[background.kind]
    )
    sky = sky_top + (sky_low - sky_top) * (place / _HORIZON)
    ground = ground_high + (ground_low - ground_high) * ((place - _HORIZON) / (1 - _HORIZON))
    # The horizon is mixed over one pixel, so that it is as smooth as every other edge.
    share = np.clip((place - _HORIZON) * height + 0.5, 0.0, 1.0)
    return sky * (1 - share) + ground * share


def _draw_background(background: Background, width: int, height: int) -> Image.Image:
    column = np.clip(np.rint(_background_column(background, height)), 0, 255).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(np.repeat(column[:, None, :], width, 1)))
    if background.kind == "night":
        radius = _NIGHT_STAR_RADIUS * min(width, height)
        for x, y in _NIGHT_STARS:
            spot = [(x * width + a * radius, y * height + b * radius) for a, b in _circle(16)]
            _fill(image, spot, (240, 240, 214))
    return image


def _fill(image: Image.Image, outline: list[Point], colour: Rgb) -> None:
    left = max(0, math.floor(min(x for x, _ in outline)) - 1)
    top = max(0, math.floor(min(y for _, y in outline)) - 1)
    right = min(image.width, math.ceil(max(x for x, _ in outline)) + 1)
    bottom = min(image.height, math.ceil(max(y for _, y in outline)) + 1)
    if right <= left or bottom <= top:
        return
    scale = _SUPERSAMPLING
    mask = Image.new("L", ((right - left) * scale, (bottom - top) * scale))
    # Pillow puts whole coordinates on pixel centres, hence the half pixel.
    points = [((x - left) * scale - 0.5, (y - top) * scale - 0.5) for x, y in outline]
    ImageDraw.Draw(mask).polygon(points, fill=255)
    image.paste(colour, (left, top, right, bottom), mask.reduce(scale))


def _circle(corners: int) -> list[Point]:
    turns = [2 * math.pi * i / corners for i in range(corners)]
    return [(math.cos(turn), math.sin(turn)) for turn in turns]


def _star() -> list[Point]:
    points = []
    for i in range(10):
        reach = 1.12 if i % 2 == 0 else 0.47
        turn = math.pi * i / 5 - math.pi / 2
        points.append((reach * math.cos(turn), reach * math.sin(turn) + 0.05))
    return points


def _heart() -> list[Point]:
    points = []
    for i in range(72):
        t = 2 * math.pi * i / 72
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((math.sin(t) ** 3 * 1.06, -(y + 2.5) / 15.0))
    return points


def _moon() -> list[Point]:
    horn = 1.05
    outer = _arc(0.0, 1.0, horn, 2 * math.pi - 2 * horn)
    centre, end = 0.62, outer[-1]
    reach = math.hypot(end[0] - centre, end[1])
    start = math.atan2(end[1], end[0] - centre)
    sweep = -2 * math.pi - 2 * start
    inner = _arc(centre, reach, start, sweep)[1:-1]
    return [(x + 0.2, y) for x, y in outer + inner]


def _arc(centre: float, radius: float, start: float, sweep: float) -> list[Point]:
    turns = [start + sweep * i / 48 for i in range(49)]
    return [(centre + radius * math.cos(turn), radius * math.sin(turn)) for turn in turns]


_OUTLINES: Final[dict[str, list[Point]]] = {
    "circle": _circle(72),
    "square": [(-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86)],
    "triangle": [(0.0, -1.0), (1.04, 0.8), (-1.04, 0.8)],
    "star": _star(),
    "heart": _heart(),
    "moon": _moon(),
}
