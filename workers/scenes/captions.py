"""What people might write to get a scene: varied plain English with some details left out."""

from __future__ import annotations

from random import Random
from typing import Final

from workers.scenes.drawing import Background, Scene, Thing

_SIZE_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "small": ("small", "small", "little", "tiny"),
    "medium": ("", "", "", "medium"),
    "big": ("big", "big", "large", "huge"),
}
_SHAPE_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "circle": ("circle", "circle", "circle", "ball", "disc"),
    "square": ("square", "square", "square", "box"),
    "triangle": ("triangle",),
    "star": ("star",),
    "heart": ("heart",),
    "moon": ("moon", "moon", "crescent"),
}
_PLURALS: Final[dict[str, str]] = {"box": "boxes"}
_CELLS: Final[dict[tuple[int, int], tuple[str, ...]]] = {
    (0, 0): ("in the top left", "in the top left corner", "in the upper left"),
    (1, 0): ("at the top", "at the top", "near the top", "in the upper part"),
    (2, 0): ("in the top right", "in the top right corner", "in the upper right"),
    (0, 1): ("on the left", "on the left", "at the left", "on the left side"),
    (1, 1): ("in the centre", "in the center", "in the middle", "at the centre"),
    (2, 1): ("on the right", "on the right", "at the right", "on the right side"),
    (0, 2): ("in the bottom left", "in the bottom left corner", "in the lower left"),
    (1, 2): ("at the bottom", "at the bottom", "near the bottom", "in the lower part"),
    (2, 2): ("in the bottom right", "in the bottom right corner", "in the lower right"),
}
_LANDSCAPE_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "meadow": (
        "in a meadow",
        "on green grass under a blue sky",
        "on the grass",
        "over a green field",
        "with sky and grass",
    ),
    "night": ("at night", "at night", "in the night sky", "under the stars", "in a dark night"),
    "sunset": ("at sunset", "at sunset", "in the evening", "at dusk", "in the sunset"),
    "sea": ("over the sea", "by the sea", "over the ocean", "above the water", "at the sea"),
    "desert": ("in the desert", "in the desert", "on the sand", "over yellow sand", "at the beach"),
    "snow": ("in the snow", "in winter", "over the snow", "in a snowy landscape", "on snow"),
}
_LANDSCAPE_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "meadow": ("a meadow", "green grass and a blue sky", "a green field", "grass under the sky"),
    "night": ("the night sky", "a dark night", "night", "a sky with stars"),
    "sunset": ("a sunset", "the sunset", "the evening sky", "dusk"),
    "sea": ("the sea", "the ocean", "the sea under a clear sky", "water"),
    "desert": ("a desert", "the desert", "sand", "a beach"),
    "snow": ("snow", "a snowy landscape", "winter", "a field of snow"),
}
_OPENINGS: Final = (
    "a picture of",
    "a drawing of",
    "an image of",
    "a photo of",
    "an illustration of",
    "a painting of",
    "picture of",
    "drawing of",
)
_CLOSINGS: Final = (
    "high quality",
    "best quality",
    "masterpiece",
    "highly detailed",
    "simple",
    "minimal",
    "flat colours",
    "flat colors",
    "clean",
    "beautiful",
    "sharp",
    "vector art",
    "digital art",
)
_EXTRA_WORDS: Final = (
    "blurry",
    "bad",
    "low",
    "ugly",
    "noisy",
    "grey",
    "gray",
    "brown",
    "three",
    "many",
    "one",
    "shape",
    "shapes",
    "cat",
    "dog",
    "house",
    "tree",
    "sun",
    "no",
    "not",
    "is",
    "are",
    "there",
)
"""Words that no caption uses but people do; they get a token of their own all the same."""


def caption(scene: Scene, rng: Random) -> str:
    """One description of a scene, in lower case; the same state of ``rng`` gives the same words."""
    things = _things_phrase(scene, rng)
    if not things:
        text = _background_alone(scene.background, rng)
    elif rng.random() < 0.06:
        text = things
    else:
        text = _join(things, scene.background, rng)
    if rng.random() < 0.15:
        text = f"{rng.choice(_OPENINGS)} {text}"
    if rng.random() < 0.12:
        closings = rng.sample(_CLOSINGS, rng.choice((1, 1, 2)))
        text = ", ".join((text, *closings))
    return text


def vocabulary() -> list[str]:
    """Every word that captions use and some more, sorted; punctuation is left out."""
    phrases: list[str] = [*_OPENINGS, *_CLOSINGS, *_EXTRA_WORDS, _GRAMMAR_WORDS]
    for table in (_SIZE_WORDS, _SHAPE_WORDS, _CELLS, _LANDSCAPE_WORDS, _LANDSCAPE_NAMES):
        for alternatives in table.values():
            phrases.extend(alternatives)
    for alternatives in _SHAPE_WORDS.values():
        phrases.extend(_plural(word) for word in alternatives)
    phrases.extend(("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black"))
    return sorted({word for phrase in phrases for word in phrase.split()})


_GRAMMAR_WORDS: Final = (
    "a an the and with on of in at to from left right above below over under beneath top bottom "
    "next beside two background backdrop plain gradient fading solid front side by"
)


def _article(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def _plural(word: str) -> str:
    return _PLURALS.get(word, f"{word}s")


def _noun(thing: Thing, rng: Random, *, many: bool = False) -> str:
    shape = rng.choice(_SHAPE_WORDS[thing.shape])
    colour = thing.colour if rng.random() < 0.95 else ""
    size = rng.choice(_SIZE_WORDS[thing.size]) if rng.random() < 0.7 else ""
    return " ".join(word for word in (size, colour, _plural(shape) if many else shape) if word)


def _things_phrase(scene: Scene, rng: Random) -> str:
    if not scene.things:
        return ""
    if len(scene.things) == 1:
        thing = scene.things[0]
        phrase = _article(_noun(thing, rng))
        # Nothing said about the position means the middle more often than not.
        said = rng.random() < (0.35 if (thing.column, thing.row) == (1, 1) else 0.93)
        return f"{phrase} {rng.choice(_CELLS[thing.column, thing.row])}" if said else phrase
    first, second = scene.things
    same = (first.shape, first.colour, first.size) == (second.shape, second.colour, second.size)
    if same and rng.random() < 0.8:
        return f"two {_noun(first, rng, many=True)}"
    return _relation(scene, _article(_noun(first, rng)), _article(_noun(second, rng)), rng)


def _relation(scene: Scene, first: str, second: str, rng: Random) -> str:
    lead, follow = scene.things
    if scene.arrangement == "row":
        choices = (
            f"{first} to the left of {second}",
            f"{first} left of {second}",
            f"{second} to the right of {first}",
            f"{second} right of {first}",
            f"{first} on the left and {second} on the right",
            f"{second} on the right and {first} on the left",
            f"{first} next to {second}",
            f"{first} beside {second}",
            f"{first} and {second}",
        )
    elif scene.arrangement == "column":
        choices = (
            f"{first} above {second}",
            f"{first} above {second}",
            f"{first} over {second}",
            f"{second} below {first}",
            f"{second} under {first}",
            f"{second} beneath {first}",
            f"{first} at the top and {second} at the bottom",
            f"{second} at the bottom and {first} at the top",
            f"{first} and {second}",
        )
    else:
        there = rng.choice(_CELLS[lead.column, lead.row])
        where = rng.choice(_CELLS[follow.column, follow.row])
        choices = (f"{first} {there} and {second} {where}",) * 9
    return rng.choice(choices)


def _join(things: str, background: Background, rng: Random) -> str:
    if background.kind == "plain":
        name = f"{background.colours[0]} {rng.choice(('background', 'background', 'backdrop'))}"
        name = f"plain {name}" if rng.random() < 0.08 else name
        return rng.choice(
            (
                f"{things} on {_article(name)}",
                f"{things} on {_article(name)}",
                f"{things} on {_article(name)}",
                f"{things} with {_article(name)}",
                f"{things} in front of {_article(name)}",
                f"{things}, {name}",
                f"{_article(name)} with {things}",
                f"{name}, {things}",
            )
        )
    if background.kind == "gradient":
        name = _gradient(background, rng)
        return rng.choice((f"{things} on {name}", f"{things} with {name}", f"{name} with {things}"))
    place = rng.choice(_LANDSCAPE_WORDS[background.kind])
    return rng.choice(
        (
            f"{things} {place}",
            f"{things} {place}",
            f"{things} {place}",
            f"{things}, {place}",
            f"{place}, {things}",
            f"{rng.choice(_LANDSCAPE_NAMES[background.kind])} with {things}",
        )
    )


def _gradient(background: Background, rng: Random) -> str:
    top, bottom = background.colours
    return rng.choice(
        (
            f"a gradient from {top} to {bottom}",
            f"{_article(top)} to {bottom} gradient",
            f"a background fading from {top} to {bottom}",
        )
    )


def _background_alone(background: Background, rng: Random) -> str:
    if background.kind == "plain":
        colour = background.colours[0]
        return rng.choice((f"{_article(colour)} background", f"plain {colour}", f"solid {colour}"))
    if background.kind == "gradient":
        return _gradient(background, rng)
    return rng.choice(_LANDSCAPE_NAMES[background.kind])
