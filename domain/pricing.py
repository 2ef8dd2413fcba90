"""Kudos: what an image is worth, and what a request burns.

Source of the formulas: the AI Horde's own, as its users know them.
"""

from __future__ import annotations

from domain.image_settings import ImageSettings

_BASE_PIXELS = 64 * 64
_REFERENCE_PIXELS = 1024 * 1024
_RESOLUTION_EXPONENT = 1.75
_KUDOS_PER_STEP = 0.1232
_RESOLUTION_FACTOR = 8.75
_TAX_PER_IMAGE = 1.0
_TAX_PER_REQUEST = 1.0
_FAST_WORKERS_FACTOR = 1.2
_WORKER_BLACKLIST_FACTOR = 1.1


def image_kudos(settings: ImageSettings) -> float:
    """Return the kudos that a worker's owner earns for one image, unrounded."""
    resolution: float = ((settings.pixels - _BASE_PIXELS) ** _RESOLUTION_EXPONENT) / (
        (_REFERENCE_PIXELS - _BASE_PIXELS) ** _RESOLUTION_EXPONENT
    )
    by_steps = _KUDOS_PER_STEP * settings.counted_steps
    return by_steps + resolution * by_steps * _RESOLUTION_FACTOR


def request_kudos(
    settings: ImageSettings,
    images: int,
    *,
    slow_workers: bool = True,
    worker_blacklist: bool = False,
) -> float:
    """Return the kudos that a request burns, rounded to hundredths.

    :param images: how many images it asks for, 1 to 20.
    :param slow_workers: whether slow workers may serve it; refusing them costs more.
    :param worker_blacklist: whether it names workers that may not serve it.
    """
    each = image_kudos(settings)
    if not slow_workers:
        each *= _FAST_WORKERS_FACTOR
    if worker_blacklist:
        each *= _WORKER_BLACKLIST_FACTOR
    return round((each + _TAX_PER_IMAGE) * images + _TAX_PER_REQUEST, 2)
