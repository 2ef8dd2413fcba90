"""Scores a pipeline: is what the prompt says where the prompt says it?

``python -m workers.scenes.scoring FOLDER`` draws held-out prompts and prints the share of right
background colours, of right colours at the right positions, and of right shapes.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import torch
from diffusers import DiffusionPipeline, LCMScheduler
from numpy.typing import NDArray
from PIL import Image

from workers.scenes.drawing import COLOURS, SHAPES, Background, Scene, Thing, draw

_SINGLE_PLACES: Final[dict[str, tuple[float, float]]] = {
    "on the left": (0.26, 0.5),
    "on the right": (0.74, 0.5),
    "at the top": (0.5, 0.26),
    "at the bottom": (0.5, 0.74),
    "in the centre": (0.5, 0.5),
    "in the top left": (0.26, 0.26),
    "in the bottom right": (0.74, 0.74),
}
_WINDOW: Final = 0.32
_LEAST_DISTANCE: Final = 130.0


@dataclass(frozen=True, slots=True)
class Expected:
    """A thing that a prompt asks for; its centre as fractions of the width and the height."""

    shape: str
    colour: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt and what its picture has to show."""

    prompt: str
    background: str
    things: tuple[Expected, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """Shares of what was right, each from 0 to 1."""

    backgrounds: float
    colours: float
    """Things whose colour is most of what stands out at their position."""
    shapes: float
    """Things whose outline looks most like the shape asked for."""


def questions(seed: int, count: int) -> list[Question]:
    """Prompts with one and with two things in turn; different seeds give different ones."""
    rng = Random(f"questions:{seed}")
    return [_question(rng, pair=index % 2 == 1) for index in range(count)]


def score(pictures: Sequence[Image.Image], asked: Sequence[Question]) -> Score:
    """Compare square pictures with what was asked for, in the same order."""
    backgrounds, colours, shapes, things = 0, 0, 0, 0
    for picture, question in zip(pictures, asked, strict=True):
        pixels = np.asarray(picture.convert("RGB").resize((256, 256))).astype(np.float64)
        names = _nearest_colours(pixels)
        border = np.concatenate((names[4], names[-5], names[:, 4], names[:, -5]))
        backgrounds += _most_frequent(border) == question.background
        for thing in question.things:
            things += 1
            colours += _colour_at(names, thing, question.background) == thing.colour
            shapes += _shape_at(pixels, thing, question.background) == thing.shape
    total = max(1, things)
    return Score(backgrounds / max(1, len(asked)), colours / total, shapes / total)


def make_pictures(
    pipeline: Any, asked: Sequence[Question], *, steps: int, guidance: float, side: int, group: int
) -> list[Image.Image]:
    """One picture per question, a group of questions at a time; noise depends on the index."""
    pictures: list[Image.Image] = []
    for start in range(0, len(asked), group):
        part = asked[start : start + group]
        pictures.extend(
            pipeline(
                [question.prompt for question in part],
                num_inference_steps=steps,
                guidance_scale=guidance,
                width=side,
                height=side,
                generator=[torch.Generator().manual_seed(start + i) for i in range(len(part))],
            ).images
        )
    return pictures


def main() -> None:
    """Read the command line, make the pictures and print the score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=60, help="prompts")
    parser.add_argument("--side", type=int, default=512, help="pixels, a multiple of 64")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--lcm", action="store_true", help="use the LCM scheduler")
    parser.add_argument("--sheet", type=Path, help="write the pictures as one PNG")
    given = parser.parse_args()
    # Stored in half precision, which few CPUs can compute with.
    pipeline: Any = DiffusionPipeline.from_pretrained(
        given.folder, local_files_only=True, dtype=torch.float32
    )
    pipeline.set_progress_bar_config(disable=True)
    if given.lcm:
        pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    asked = questions(7, given.count)
    pictures = make_pictures(
        pipeline, asked, steps=given.steps, guidance=given.guidance, side=given.side, group=12
    )
    print(score(pictures, asked))
    if given.sheet:
        _sheet(pictures).save(given.sheet)


def _question(rng: Random, *, pair: bool) -> Question:
    background = rng.choice(tuple(COLOURS))
    behind = COLOURS[background]
    visible = [name for name, rgb in COLOURS.items() if math.dist(rgb, behind) > _LEAST_DISTANCE]
    if not pair:
        place, (x, y) = rng.choice(tuple(_SINGLE_PLACES.items()))
        thing = Expected(rng.choice(SHAPES), rng.choice(visible), x, y)
        words = f"a {thing.colour} {thing.shape} {place} on a {background} background"
        return Question(words.replace("a orange", "an orange"), background, (thing,))
    beside = rng.random() < 0.5
    places = ((0.26, 0.5), (0.74, 0.5)) if beside else ((0.5, 0.26), (0.5, 0.74))
    first, second = (Expected(rng.choice(SHAPES), rng.choice(visible), x, y) for x, y in places)
    words = (
        f"a {first.colour} {first.shape} {'left of' if beside else 'above'} "
        f"a {second.colour} {second.shape} on a {background} background"
    )
    return Question(words.replace("a orange", "an orange"), background, (first, second))


def _nearest_colours(pixels: NDArray[np.float64]) -> NDArray[np.str_]:
    palette = np.array(list(COLOURS.values()), dtype=np.float64)
    distances = ((pixels[..., None, :] - palette) ** 2).sum(axis=-1)
    names: NDArray[np.str_] = np.array(list(COLOURS))[distances.argmin(axis=-1)]
    return names


def _most_frequent(names: NDArray[np.str_]) -> str:
    values, counts = np.unique(names, return_counts=True)
    return str(values[counts.argmax()])


def _colour_at(names: NDArray[np.str_], thing: Expected, background: str) -> str:
    """The colour that most of what stands out at the thing's position has."""
    x, y = round(thing.x * 256), round(thing.y * 256)
    window = names[y - 20 : y + 20, x - 20 : x + 20]
    standing_out = window[window != background]
    return _most_frequent(standing_out) if standing_out.size > 0.1 * window.size else ""


def _shape_at(pixels: NDArray[np.float64], thing: Expected, background: str) -> str:
    """The shape whose outline, brought to the same bounding box, overlaps most."""
    reach = round(_WINDOW * 256)
    x, y = round(thing.x * 256), round(thing.y * 256)
    window = pixels[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach]
    near = ((window - COLOURS[thing.colour]) ** 2).sum(-1)
    far = ((window - COLOURS[background]) ** 2).sum(-1)
    found = _fitted(near < far)
    if found is None:
        return ""
    overlaps = {shape: _overlap(found, mask) for shape, mask in _outlines().items()}
    return max(overlaps, key=lambda shape: overlaps[shape])


def _outlines() -> dict[str, NDArray[np.bool_]]:
    outlines: dict[str, NDArray[np.bool_]] = {}
    for shape in SHAPES:
        thing = Thing(shape, "white", "big", 0.5, 0.5, 0.35, 1, 1)
        pixels = draw(Scene(Background("plain", ("black",)), (thing,), "single"), 256, 256)
        fitted = _fitted(pixels[..., 0] > 128)
        if fitted is not None:
            outlines[shape] = fitted
    return outlines


def _fitted(mask: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The mask cut to its bounding box, without stray pixels, at a common size."""
    rows = np.flatnonzero(mask.sum(axis=1) >= 2)
    columns = np.flatnonzero(mask.sum(axis=0) >= 2)
    if not len(rows) or not len(columns):
        return None
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    image = Image.fromarray((cut * 255).astype(np.uint8)).resize((48, 48))
    return np.asarray(image) > 128


def _overlap(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))


def _sheet(pictures: Sequence[Image.Image], columns: int = 10, side: int = 160) -> Image.Image:
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (columns * side, rows * side))
    for index, picture in enumerate(pictures):
        place = (index % columns * side, index // columns * side)
        sheet.paste(picture.convert("RGB").resize((side, side)), place)
    return sheet


if __name__ == "__main__":
    main()
