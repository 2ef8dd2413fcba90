"""Scenes encoded once and kept, so that the denoiser never has to draw or encode again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from workers.scenes.autoencoder import encode
from workers.scenes.drawing import Scene, draw, scene_at

Size = tuple[int, int]

SHARES: Final[dict[Size, float]] = {
    (256, 256): 0.6,
    (512, 512): 0.3,
    (512, 384): 0.03,
    (384, 512): 0.03,
    (128, 128): 0.04,
}
"""Width and height in pixels, and the share of the scenes that is drawn at that size."""


@dataclass(frozen=True)
class Encoded:
    """Scenes of one size with their latents, shape (n, channels, height / 32, width / 32)."""

    size: Size
    scenes: tuple[Scene, ...]
    latents: Tensor

    def joined(self, other: Encoded) -> Encoded:
        """Both lists, one after the other."""
        return Encoded(
            self.size, self.scenes + other.scenes, torch.cat((self.latents, other.latents))
        )


def encode_scenes(vae: Any, *, seed: int, first: int, count: int, size: Size) -> Encoded:
    """Draw and encode the scenes ``first`` to ``first + count`` of a seed's list."""
    width, height = size
    scenes = [scene_at(seed, index) for index in range(first, first + count)]
    group = max(1, 4 * 256 * 256 // (width * height))
    latents = [
        encode(vae, np.stack([draw(scene, width, height) for scene in scenes[i : i + group]]))
        for i in range(0, count, group)
    ]
    return Encoded(size, tuple(scenes), torch.cat(latents).half())


def encode_shares(vae: Any, *, seed: int, scenes: int, rank: int, ranks: int) -> list[Encoded]:
    """This process's part of ``scenes`` scenes in all, at all the sizes of :data:`SHARES`."""
    encoded: list[Encoded] = []
    first = 0
    for size, share in SHARES.items():
        count = max(1, round(scenes * share / ranks))
        encoded.append(
            encode_scenes(vae, seed=seed, first=first + rank * count, count=count, size=size)
        )
        first += ranks * count
    return encoded
