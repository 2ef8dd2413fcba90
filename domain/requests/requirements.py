"""Requirements: what a request's settings and images demand of the worker that makes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from domain.images.settings import ImageSettings
from domain.images.source_images import SourceImages
from domain.models.catalogue import Baseline, Models, baseline_of
from domain.requests.specification import RequestSpecification
from domain.workers.bridges import Feature
from domain.workers.matching import Requirements

USUAL_STEPS = (20, 40)
"""The fewest and the most steps that a model of which nothing else is known is made with."""

_SDXL_FAMILY = (Baseline.SDXL,)


def requirements_of(
    settings: ImageSettings,
    *,
    models: Sequence[str],
    catalogue: Models,
    source: SourceImages | None = None,
    nsfw: bool = False,
    trusted_workers: bool = False,
    slow_workers: bool = True,
    extra_slow_workers: bool = False,
    workers: Sequence[UUID] = (),
    worker_blacklist: bool = False,
    unsafe_ip: bool = False,
    replicates: bool = False,
) -> Requirements:
    """Return what a request demands of a worker; the ledger adds whether its kudos are there.

    :param models: names of which the worker must offer one; empty means any.
    :param workers: the workers that alone may serve it, or with ``worker_blacklist`` may not.
    :param unsafe_ip: whether it came through a network that the operator calls unsafe.
    :param replicates: whether an earlier image is to be made again.
    """
    families = {baseline_of(name, catalogue) for name in models}
    has_control = settings.control_type is not None
    return Requirements(
        models=tuple(sorted(set(models))),
        pixels=settings.pixels,
        nsfw=nsfw,
        trusted_workers=trusted_workers,
        slow_workers=slow_workers,
        extra_slow_workers=extra_slow_workers,
        workers=tuple(sorted(set(workers))),
        worker_blacklist=worker_blacklist and bool(workers),
        img2img=source is not None and source.image is not None,
        painting=source is not None and source.is_painting,
        post_processing=bool(settings.post_processing),
        controlnet=has_control,
        sdxl_controlnet=has_control and not families.isdisjoint(_SDXL_FAMILY),
        lora=bool(settings.loras or settings.tis),
        many_steps=settings.counted_steps > _usual_steps(models, catalogue),
        unsafe_ip=unsafe_ip,
        features=_features_of(settings, source, families, replicates=replicates),
    )


def with_settings(
    specification: RequestSpecification, settings: ImageSettings, catalogue: Models
) -> RequestSpecification:
    """Return what asks for the same images with other settings, and requires what these require."""
    required = specification.requirements
    found = requirements_of(
        settings,
        models=required.models,
        catalogue=catalogue,
        source=specification.source,
        replicates=specification.replicates is not None,
    )
    return replace(
        specification,
        settings=settings,
        requirements=replace(
            required,
            pixels=found.pixels,
            post_processing=found.post_processing,
            controlnet=found.controlnet,
            sdxl_controlnet=found.sdxl_controlnet,
            lora=found.lora,
            many_steps=found.many_steps,
            features=found.features,
        ),
    )


def _usual_steps(models: Sequence[str], catalogue: Models) -> float:
    """Return what workers that limit steps take at most: the AI Horde's rule.

    It is the middle between the fewest and the most steps that a model is made with; of several
    models the lowest counts.
    """
    least, most = USUAL_STEPS
    middles = [(least + most) / 2]
    for name in models:
        entry = catalogue.entry(name)
        if entry is not None:
            low, high = entry.optimal.steps_min or least, entry.optimal.steps_max or most
            middles.append((low + high) / 2)
    return min(middles[1:] or middles)


def _features_of(
    settings: ImageSettings,
    source: SourceImages | None,
    families: set[Baseline],
    *,
    replicates: bool,
) -> tuple[str, ...]:
    wanted = {
        Feature.CLIP_SKIP: settings.clip_skip > 1,
        Feature.EXTRA_SOURCE_IMAGES: source is not None and bool(source.extra),
        Feature.FLUX: Baseline.FLUX in families,
        Feature.HIRES_FIX: settings.hires_fix,
        Feature.IMAGE_IS_CONTROL: settings.image_is_control,
        Feature.LORA_VERSIONS: any(lora.is_version for lora in settings.loras),
        Feature.QR_CODE: settings.workflow == "qr_code",
        Feature.REPLICATION: replicates,
        Feature.RETURN_CONTROL_MAP: settings.return_control_map,
        Feature.TEXTUAL_INVERSION: bool(settings.tis),
        Feature.TILING: settings.tiling,
        Feature.TRANSPARENT: settings.transparent,
    }
    features = {feature.value for feature, is_wanted in wanted.items() if is_wanted}
    return tuple(sorted(features | set(settings.post_processing)))
