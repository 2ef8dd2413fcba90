"""The noise that an image starts from, and what it draws on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any


def noise_seed(seed: int, place: int) -> int:
    """The seed of an image's own noise: 63 bits that depend on these two numbers alone.

    :param place: the image's place in its batch, from 0.
    """
    digest = hashlib.sha256(f"{seed}:{place}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generators_of(seed: int, places: Sequence[int]) -> list[Any]:
    """A fresh generator for each place.

    They live on the CPU, so that every device starts from the same noise.
    """
    import torch

    return [torch.Generator("cpu").manual_seed(noise_seed(seed, place)) for place in places]
