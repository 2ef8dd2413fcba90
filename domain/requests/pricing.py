"""Kudos: what an image is worth, and what a request burns.

Source of the formulas: the AI Horde's own, as its users know them.
"""

from __future__ import annotations

from dataclasses import dataclass

from domain.accounts.kudos import TAX_PER_REQUEST
from domain.images.settings import ImageSettings
from domain.models.catalogue import Baseline, Models, heaviest
from domain.requests.specification import RequestSpecification

_BASE_PIXELS = 64 * 64
_REFERENCE_PIXELS = 1024 * 1024
_RESOLUTION_EXPONENT = 1.75
_KUDOS_PER_STEP = 0.1232
_RESOLUTION_FACTOR = 8.75
_POST_PROCESSOR_FACTOR = 1.2
_CONTROL_FACTOR = 3.0
_KUDOS_PER_LORA = 3.0
_KUDOS_FOR_TEXTUAL_INVERSIONS = 1.0

_SOURCE_FACTOR = 1.3
_TAX_PER_IMAGE = 1.0
_FAST_WORKERS_FACTOR = 1.2
_WORKER_BLACKLIST_FACTOR = 1.1
_FAMILY_FACTOR = {
    Baseline.SDXL: 2.0,
    Baseline.CASCADE: 4.0,
    Baseline.FLUX: 8.0,
    Baseline.Z_IMAGE: 8.0,
    Baseline.QWEN: 12.0,
}
_CASCADE_HIRES_FACTOR = 7.0


def image_kudos(settings: ImageSettings) -> float:
    """Return the kudos that a worker's owner earns for one image, unrounded."""
    resolution: float = ((settings.pixels - _BASE_PIXELS) ** _RESOLUTION_EXPONENT) / (
        (_REFERENCE_PIXELS - _BASE_PIXELS) ** _RESOLUTION_EXPONENT
    )
    by_steps = _KUDOS_PER_STEP * settings.counted_steps
    drawing = by_steps + resolution * by_steps * _RESOLUTION_FACTOR
    drawing *= _POST_PROCESSOR_FACTOR ** len(settings.post_processing)
    if settings.control_type is not None:
        drawing *= _CONTROL_FACTOR
    loading = _KUDOS_PER_LORA * len(settings.loras)
    if settings.tis:
        loading += _KUDOS_FOR_TEXTUAL_INVERSIONS
    return drawing + loading


@dataclass(frozen=True, slots=True)
class Quote:
    """What a request costs."""

    per_image: float
    """Kudos that each submitted image burns, unrounded; never less than its maker earns."""
    total: float
    """Kudos that the request burns when all of it is made, in whole hundredths."""


def price_of(specification: RequestSpecification, catalogue: Models) -> Quote:
    """Return what a request costs."""
    wanted = specification.requirements
    return quote(
        specification.settings,
        specification.images,
        family=heaviest(wanted.models, catalogue),
        has_source=wanted.img2img,
        slow_workers=wanted.slow_workers,
        worker_blacklist=wanted.worker_blacklist,
    )


def quote(
    settings: ImageSettings,
    images: int,
    *,
    family: Baseline = Baseline.SD_1,
    has_source: bool = False,
    slow_workers: bool = True,
    worker_blacklist: bool = False,
) -> Quote:
    """Return what a request costs.

    :param images: how many images it asks for, 1 to 20.
    :param family: the heaviest of the request's models.
    :param has_source: whether it starts from an image.
    :param slow_workers: whether slow workers may serve it; refusing them costs more.
    :param worker_blacklist: whether it names workers that may not serve it.
    """
    each = image_kudos(settings)
    if has_source:
        each *= _SOURCE_FACTOR
    each += _TAX_PER_IMAGE
    if not slow_workers:
        each *= _FAST_WORKERS_FACTOR
    if worker_blacklist:
        each *= _WORKER_BLACKLIST_FACTOR
    each *= _family_factor(family, hires_fix=settings.hires_fix)
    return Quote(each, round(each * images + TAX_PER_REQUEST, 2))


def _family_factor(family: Baseline, *, hires_fix: bool) -> float:
    if family is Baseline.CASCADE and hires_fix:
        return _CASCADE_HIRES_FACTOR
    return _FAMILY_FACTOR.get(family, 1.0)
