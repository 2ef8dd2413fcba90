"""Hires fix: an image is made small first, where a model is at home, and drawn again in full size.

A model makes one subject twice in an image much larger than those it was trained on.
"""

from __future__ import annotations

import math

from domain.images.settings import ImageSettings
from domain.models.catalogue import Baseline
from workers.engines.comfyui.graph.nodes import Graph, Output
from workers.engines.comfyui.graph.sampling import Guidance, Pass, Schedule, sample, steps_of

DENOISE = 0.65
"""How much is drawn anew the second time unless the settings say otherwise: the AI Horde's."""

_STEP = 64
_NATIVE_SIDE = {Baseline.SD_2: 768, Baseline.SDXL: 1024}
_USUAL_SIDE = 512


def first_size(width: int, height: int, family: Baseline) -> tuple[int, int] | None:
    """Return the size of the small image; None when the full one is no larger than what is native.

    It has about the native number of pixels and the shape of the full one, its sides multiples
    of 64.
    """
    side = _NATIVE_SIDE.get(family, _USUAL_SIDE)
    if width <= side or height <= side:
        return None
    shrink = side / math.sqrt(width * height)
    small = _rounded(width * shrink), _rounded(height * shrink)
    return None if small[0] >= width or small[1] >= height else small


def second_steps(settings: ImageSettings) -> int:
    """Return the steps of the second run: their share that is drawn anew, 1 at least."""
    return max(1, round(steps_of(settings) * denoise_of(settings)))


def denoise_of(settings: ImageSettings) -> float:
    """Return how much is drawn anew the second time, 0.01 to 1."""
    return settings.hires_fix_denoising_strength or DENOISE


def draw_again(
    graph: Graph, schedule: Schedule, guidance: Guidance, small: Output, settings: ImageSettings
) -> Pass:
    """Add the second run, in full size."""
    large = graph.add(
        "LatentUpscale",
        samples=small,
        upscale_method="bislerp",
        width=settings.width,
        height=settings.height,
        crop="disabled",
    )
    return sample(
        graph,
        schedule,
        guidance,
        large,
        steps=second_steps(settings),
        denoise=denoise_of(settings),
    )


def _rounded(pixels: float) -> int:
    return max(_STEP, round(pixels / _STEP) * _STEP)
