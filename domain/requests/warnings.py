"""Warnings: a request is taken, but waits in vain, wastes steps, or draws worse than it could."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from domain.images.settings import (
    HIGHEST_LCM_CFG_SCALE,
    LCM_SAMPLER,
    MOST_LCM_STEPS,
    ImageSettings,
    uses_lcm,
)
from domain.models.catalogue import ModelEntry, OptimalSettings


class WarningCode(StrEnum):
    """What a request is warned of; the names are the v2 API's where it has one."""

    NO_AVAILABLE_WORKER = "NoAvailableWorker"
    CLIP_SKIP_MISMATCH = "ClipSkipMismatch"
    STEPS_TOO_FEW = "StepsTooFew"
    STEPS_TOO_MANY = "StepsTooMany"
    CFG_SCALE_MISMATCH = "CfgScaleMismatch"
    CFG_SCALE_TOO_SMALL = "CfgScaleTooSmall"
    CFG_SCALE_TOO_LARGE = "CfgScaleTooLarge"
    SAMPLER_MISMATCH = "SamplerMismatch"
    SCHEDULER_MISMATCH = "SchedulerMismatch"
    NO_INSPECTOR = "NoInspector"
    """Of Hoard alone."""


@dataclass(frozen=True, slots=True)
class RequestWarning:
    """A note on a request that is taken all the same."""

    code: WarningCode
    message: str
    """For a person, in English."""


NO_AVAILABLE_WORKER = RequestWarning(
    WarningCode.NO_AVAILABLE_WORKER,
    "No worker that is here now may serve this request; it waits for one until it expires.",
)

NO_INSPECTOR = RequestWarning(
    WarningCode.NO_INSPECTOR,
    "This installation's own workers check no images: adult content is censored only if a worker"
    " of somebody else does so by itself.",
)


def warnings_for(
    settings: ImageSettings, models: Iterable[ModelEntry]
) -> tuple[RequestWarning, ...]:
    """Return what would make the images better or cheaper, each code once.

    An LCM is measured by what LCMs need, whatever its model is usually made with.

    :param models: those of the request's models that the catalogue knows.
    """
    lcm = uses_lcm(settings)
    found = list(_lcm_warnings(settings)) if lcm else []
    for model in models:
        found += _clip_skip_warnings(settings, model)
        if not lcm:
            found += _model_warnings(settings, model)
    first: dict[WarningCode, RequestWarning] = {}
    for warning in found:
        first.setdefault(warning.code, warning)
    return tuple(first.values())


def _lcm_warnings(settings: ImageSettings) -> Iterable[RequestWarning]:
    if settings.counted_steps > MOST_LCM_STEPS:
        yield RequestWarning(
            WarningCode.STEPS_TOO_MANY,
            f"With LCM more than {MOST_LCM_STEPS} steps gain nothing: 4 to 8 are enough, and cost"
            " a fraction.",
        )
    if settings.cfg_scale > HIGHEST_LCM_CFG_SCALE:
        yield RequestWarning(
            WarningCode.CFG_SCALE_TOO_LARGE,
            f"With LCM keep cfg_scale within 1 to {HIGHEST_LCM_CFG_SCALE:g}.",
        )
    if settings.sampler != LCM_SAMPLER:
        yield RequestWarning(
            WarningCode.SAMPLER_MISMATCH, "An LCM LoRA draws best with the sampler lcm."
        )


def _clip_skip_warnings(settings: ImageSettings, model: ModelEntry) -> Iterable[RequestWarning]:
    best = model.optimal.clip_skip
    if best is not None and best != settings.clip_skip:
        yield RequestWarning(
            WarningCode.CLIP_SKIP_MISMATCH, f"{model.name} draws best with clip_skip {best}."
        )


def _model_warnings(settings: ImageSettings, model: ModelEntry) -> Iterable[RequestWarning]:
    best = model.optimal
    if best.steps_min is not None and settings.steps < best.steps_min:
        yield RequestWarning(
            WarningCode.STEPS_TOO_FEW, f"{model.name} needs at least {best.steps_min} steps."
        )
    if best.steps_max is not None and settings.steps > best.steps_max:
        yield RequestWarning(
            WarningCode.STEPS_TOO_MANY,
            f"{model.name} gains nothing from more than {best.steps_max} steps.",
        )
    yield from _cfg_scale_warnings(settings.cfg_scale, model.name, best)
    if best.samplers and settings.sampler not in best.samplers:
        yield RequestWarning(
            WarningCode.SAMPLER_MISMATCH,
            f"{model.name} draws best with {_listed(best.samplers)} as the sampler.",
        )
    scheduler = "karras" if settings.karras else "simple"
    if best.schedulers and scheduler not in best.schedulers:
        yield RequestWarning(
            WarningCode.SCHEDULER_MISMATCH,
            f"{model.name} draws best with karras {str(not settings.karras).lower()}.",
        )


def _cfg_scale_warnings(
    cfg_scale: float, name: str, best: OptimalSettings
) -> Iterable[RequestWarning]:
    least, most = best.cfg_min, best.cfg_max
    if least is not None and least == most:
        if cfg_scale != least:
            yield RequestWarning(
                WarningCode.CFG_SCALE_MISMATCH, f"{name} draws best with cfg_scale {least:g}."
            )
        return
    if least is not None and cfg_scale < least:
        yield RequestWarning(
            WarningCode.CFG_SCALE_TOO_SMALL, f"{name} needs a cfg_scale of at least {least:g}."
        )
    if most is not None and cfg_scale > most:
        yield RequestWarning(
            WarningCode.CFG_SCALE_TOO_LARGE, f"Keep cfg_scale within {most:g} for {name}."
        )


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
