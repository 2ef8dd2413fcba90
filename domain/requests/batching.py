"""The batching rule: how many images of a request one worker gets as one job."""

from __future__ import annotations

from domain.images.post_processing import HEAVY_POST_PROCESSORS
from domain.images.settings import ImageSettings
from domain.models.catalogue import Baseline

SAFE_SHARE_OF_MAXIMUM = 3
"""A worker is assumed safe at its full amount on one third of its maximum resolution.

Source of the rule: AI Horde's announcement of batching. Its server divides by 3.5 today, which
hands out six images instead of seven at full resolution.
"""

_WEIGHT_PER_POST_PROCESSOR = 0.4
_HEAVY_WEIGHT = 1.8
_FAMILY_WEIGHT = {Baseline.FLUX: 5.0, Baseline.Z_IMAGE: 8.0, Baseline.QWEN: 10.0}


def pixel_weight(settings: ImageSettings, family: Baseline) -> float:
    """Return how much heavier than plain text-to-image a pixel is, 1 or more.

    Source of the weights: the AI Horde. A heavy post-processor and transparency, which need their
    memory one after the other, weigh once.

    :param family: that of the model that the worker draws with.
    """
    weight = 1 + _WEIGHT_PER_POST_PROCESSOR * len(settings.post_processing)
    if settings.transparent or not HEAVY_POST_PROCESSORS.isdisjoint(settings.post_processing):
        weight *= _HEAVY_WEIGHT
    return weight * _FAMILY_WEIGHT.get(family, 1.0)


def images_for(
    *, amount: int, max_pixels: int, width: int, height: int, remaining: int, weight: float = 1.0
) -> int:
    """Return how many images of one size a worker gets in one batch.

    :param amount: images per batch that the worker declared, 1 to 20.
    :param max_pixels: pixels of the largest image that the worker declared.
    :param width: pixels, a multiple of 64.
    :param height: pixels, a multiple of 64.
    :param remaining: images of the request that no job holds, 1 or more.
    :param weight: how much heavier than plain text-to-image a pixel is, 1 or more.
    :returns: 1 to ``amount``, and never more than ``remaining``.
    :raises ValueError: when nothing remains or the image is above the worker's maximum.
    """
    pixels = width * height
    if remaining < 1:
        raise ValueError("no images remain to be sliced")
    if pixels > max_pixels:
        raise ValueError(f"{width}x{height} is above the worker's maximum of {max_pixels} pixels")
    fitting = _round_half_up(amount * max_pixels, SAFE_SHARE_OF_MAXIMUM * pixels * weight)
    return min(max(fitting, 1), amount, remaining)


def _round_half_up(numerator: float, denominator: float) -> int:
    """Round to the nearest integer, halves up.

    Python's ``round`` sends halves to the even neighbour; on this rule's ratios that would hand a
    bigger worker no more, and once in a while a smaller one as much, for no reason of its own.
    """
    return int(numerator / denominator + 0.5)
