"""Kudos up front: which requests are so heavy that their price has to be there beforehand."""

from __future__ import annotations

from dataclasses import dataclass, replace

from domain.images.sampling import counted_steps
from domain.images.settings import MOST_LCM_STEPS, ImageSettings, uses_lcm
from domain.models.catalogue import Baseline

_SIDE = 1024
_SIDE_PER_THREAD = 10
_SIDE_PER_WAITING = 0.9
_SMALLEST_SIDE = 576

_SIDE_OF_FAMILY = {
    Baseline.SD_2: 768,
    Baseline.SDXL: 1024,
    Baseline.CASCADE: 1024,
    Baseline.FLUX: 1024,
}
"""Sides that are free whatever waits: the families draw nothing good below."""

_MOST_STEPS = 40
_MOST_CONTROLLED_STEPS = 20

_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the installation is."""

    threads: int = 0
    """Jobs that the workers which are here can run at a time, together."""
    waiting: int = 0
    """Images that wait for a worker."""


def free_side(load: Load, family: Baseline) -> int:
    """Return the side of the largest square that needs no kudos, in pixels, 576 to 1024."""
    side = _SIDE + _SIDE_PER_THREAD * load.threads - round(_SIDE_PER_WAITING * load.waiting)
    return max(min(side, _SIDE), _SMALLEST_SIDE, _SIDE_OF_FAMILY.get(family, 0))


def free_steps(settings: ImageSettings) -> int:
    """Return the denoiser passes that need no kudos: 40, or 10 with LCM, 20 with a ControlNet."""
    if uses_lcm(settings):
        return MOST_LCM_STEPS
    return _MOST_STEPS if settings.control_type is None else _MOST_CONTROLLED_STEPS


def is_always_free(settings: ImageSettings, family: Baseline) -> bool:
    """Whether an image is so small that its size needs no kudos, however many images wait."""
    return settings.pixels <= max(_SMALLEST_SIDE, _SIDE_OF_FAMILY.get(family, 0)) ** 2


def needs_upfront(
    settings: ImageSettings, family: Baseline, *, slow_workers: bool, load: Load
) -> bool:
    """Whether the kudos of a request have to be there beforehand: the AI Horde's rule.

    As there, sides are compared by area: 512x2048 is no larger than 1024x1024.

    :param family: the heaviest of the request's models.
    :param slow_workers: whether slow workers may serve it.
    """
    return (
        not slow_workers
        or settings.counted_steps > free_steps(settings)
        or settings.pixels > free_side(load, family) ** 2
    )


def downgraded(settings: ImageSettings, family: Baseline, *, load: Load) -> ImageSettings:
    """Return settings whose size and steps need no kudos up front.

    The longer side shrinks in steps of 64 pixels until the area fits; steps are cut to the most
    that are free, unless the sampler chooses its own. What needs none comes back as it is.
    """
    width, height = settings.width, settings.height
    most = free_side(load, family) ** 2
    while width * height > most:
        if width >= height:
            width -= _BLOCK
        else:
            height -= _BLOCK
    return replace(settings, width=width, height=height, steps=_most_free_steps(settings))


def _most_free_steps(settings: ImageSettings) -> int:
    free = free_steps(settings)
    fewer = range(settings.steps, 0, -1)
    return next(
        (steps for steps in fewer if counted_steps(settings.sampler, steps) <= free),
        settings.steps,
    )
