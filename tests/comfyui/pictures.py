"""Comparing pictures, pixel by pixel."""

from __future__ import annotations

import io
from hashlib import sha256

import numpy as np
import numpy.typing as npt
from PIL import Image

MOST_ROUNDING = 4
"""How far any channel of any pixel, 0 to 255, may be off when an image of a batch is made again
alone: kernels for another batch size add up in another order."""

CLEARLY = 16.0
"""Mean difference of the channels from which on two pictures are clearly not the same."""


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """Return by how much the channels differ on average, 0 to 255."""
    return float(_differences(one, other).mean())


def largest_difference(one: Image.Image, other: Image.Image) -> int:
    """Return by how much the channel that differs most does, 0 to 255."""
    return int(_differences(one, other).max())


def are_all_different(pictures: list[Image.Image]) -> bool:
    """Whether each two of the pictures are clearly not the same."""
    return all(
        mean_difference(one, other) > CLEARLY
        for index, one in enumerate(pictures)
        for other in pictures[:index]
    )


def digest(picture: Image.Image) -> str:
    """Return the SHA-256 of the bare pixels."""
    return sha256(picture.tobytes()).hexdigest()


def png(picture: Image.Image) -> bytes:
    """Return a picture as a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def tiles(colours: list[list[tuple[int, int, int]]], tile: int = 8) -> Image.Image:
    """Return a picture of square tiles in plain colours, which the tiny autoencoder keeps."""
    rows = np.array(colours, dtype=np.uint8)
    return Image.fromarray(rows.repeat(tile, axis=0).repeat(tile, axis=1))


def _differences(one: Image.Image, other: Image.Image) -> npt.NDArray[np.int16]:
    pair = [np.asarray(each.convert("RGB"), dtype=np.int16) for each in (one, other)]
    assert pair[0].shape == pair[1].shape
    differences: npt.NDArray[np.int16] = np.absolute(pair[0] - pair[1])
    return differences
