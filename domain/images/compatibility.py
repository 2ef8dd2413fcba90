"""Whether settings go together, and suit the models of a request: all the rules, in one place.

What no worker could make is refused at once. The rules and their codes are the AI Horde's, but that
a remix is refused with ``Img2ImgMismatch`` and transparency with ``BadRequest``: the codes that it
has for them are kept for later.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from domain.images.controlnet import MOST_CONTROLLED_STEPS
from domain.images.post_processing import POST_PROCESSORS, UPSCALERS
from domain.images.settings import ImageSettings
from domain.images.source_images import SourceProcessing
from domain.images.workflows import QR_CODE, QR_CODE_TEXT
from domain.models.catalogue import Baseline, Models, baseline_of
from domain.models.loras import MOST_LORAS, MOST_TIS, Lora, TextualInversion, is_civitai_id
from domain.return_codes import Refused

_TRANSFORMERS = frozenset({Baseline.FLUX, Baseline.QWEN, Baseline.Z_IMAGE})
_UNTILABLE = _TRANSFORMERS | {Baseline.CASCADE}
_TRANSPARENT = frozenset({Baseline.SD_1, Baseline.SDXL})
_REMIXING = frozenset({Baseline.CASCADE})
_PAINTING = frozenset({SourceProcessing.INPAINTING, SourceProcessing.OUTPAINTING})
_CONTROLLABLE = frozenset({Baseline.SD_1, Baseline.SD_2, Baseline.SD_2_512, Baseline.SDXL})
_SD_2 = frozenset({Baseline.SD_2, Baseline.SD_2_512})
_LACKED_BY_SD_2 = frozenset({"normal", "hough"})
_DRAWS_QR_CODES = frozenset({Baseline.SD_1, Baseline.SDXL})


@dataclass(frozen=True, slots=True)
class ModelTraits:
    """What follows from the names of a request's models."""

    families: frozenset[Baseline]
    """Empty when any model will do."""
    needs_source: bool
    """Whether one of them only changes images, as inpainting models do."""


def traits_of(names: Sequence[str], models: Models) -> ModelTraits:
    """Look up the traits of a request's models.

    :raises Refused: ``UnexpectedModelName``, when one is a post-processor's.
    """
    for name in names:
        if name in POST_PROCESSORS:
            raise Refused("UnexpectedModelName", model=name)
    entries = [entry for name in names if (entry := models.entry(name)) is not None]
    return ModelTraits(
        families=frozenset(baseline_of(name, models) for name in names),
        needs_source=any(entry.requires_source for entry in entries),
    )


def check_compatibility(
    settings: ImageSettings,
    *,
    models: ModelTraits,
    source: SourceProcessing | None,
    texts: Collection[tuple[str, str]] = (),
) -> None:
    """Check that the settings go together, and with every model that may be chosen.

    :param source: what is done with the source image; None when there is none.
    :param texts: each extra text with what it is referred to by.
    :raises Refused: with the code of the first rule that is broken.
    """
    check_loras(settings.loras)
    check_textual_inversions(settings.tis)
    if sum(name in UPSCALERS for name in settings.post_processing) > 1:
        raise Refused("TooManyUpscalers")
    _check_control(settings, source, models)
    _check_workflow(settings, texts, source, models)
    if models.needs_source and source is None:
        raise Refused("SourceImageRequiredForModel")
    _check_source(source, models)
    if settings.hires_fix:
        _check_hires_fix(models)
    if settings.tiling and not _UNTILABLE.isdisjoint(models.families):
        raise Refused("TilingMismatch")
    if settings.transparent:
        _check_transparency(source, models)


def check_loras(loras: Sequence[Lora]) -> None:
    """Check what a schema cannot: how many, and that versions are named by their ids.

    :raises Refused: ``TooManyLoras`` or ``BadLoraVersion``.
    """
    if len(loras) > MOST_LORAS:
        raise Refused("TooManyLoras")
    for index, lora in enumerate(loras):
        if lora.is_version and not is_civitai_id(lora.name):
            raise Refused(
                "BadLoraVersion", errors={f"params.loras.{index}.name": "is no version id"}
            )


def check_textual_inversions(tis: Sequence[TextualInversion]) -> None:
    """Check how many there are.

    :raises Refused: ``TooManyTIs``.
    """
    if len(tis) > MOST_TIS:
        raise Refused("TooManyTIs")


def _check_control(
    settings: ImageSettings, source: SourceProcessing | None, models: ModelTraits
) -> None:
    """Check a control type against everything else that was asked."""
    if settings.image_is_control and settings.return_control_map:
        raise Refused("ControlNetInvalidPayload")
    if settings.control_type is None:
        if settings.image_is_control or settings.return_control_map:
            raise Refused("ControlNetInvalidPayload")
        return
    if source is None:
        raise Refused("ControlNetSourceMissing")
    if source in _PAINTING:
        raise Refused("ControlNetInpaintingMismatch")
    if settings.workflow is not None or settings.transparent:
        raise Refused("ControlNetMismatch")
    if models.needs_source or (
        settings.control_type in _LACKED_BY_SD_2 and not _SD_2.isdisjoint(models.families)
    ):
        raise Refused("ControlNetUnsupported")
    if not _CONTROLLABLE.issuperset(models.families):
        raise Refused("ControlNetMismatch")
    if settings.steps > MOST_CONTROLLED_STEPS:
        raise Refused("TooManySteps", most=MOST_CONTROLLED_STEPS)


def _check_workflow(
    settings: ImageSettings,
    texts: Collection[tuple[str, str]],
    source: SourceProcessing | None,
    models: ModelTraits,
) -> None:
    """Check that a workflow gets what it needs, and nothing that it cannot use."""
    if settings.workflow is None:
        if texts:
            raise Refused("InvalidExtraTexts.")
        return
    if not any(reference == QR_CODE_TEXT for _, reference in texts):
        raise Refused(
            "MissingExtraTexts.",
            errors={"params.extra_texts": f"{QR_CODE} needs one of the reference {QR_CODE_TEXT}"},
        )
    if source is not None:
        raise Refused("Img2ImgMismatch")
    if not _DRAWS_QR_CODES.issuperset(models.families):
        raise Refused("ControlNetMismatch")


def _check_source(source: SourceProcessing | None, models: ModelTraits) -> None:
    if source is SourceProcessing.REMIX and not _REMIXING.issuperset(models.families):
        raise Refused("InvalidRemix")
    if source in _PAINTING and Baseline.CASCADE in models.families:
        raise Refused("Img2ImgMismatch")


def _check_hires_fix(models: ModelTraits) -> None:
    if not _TRANSFORMERS.isdisjoint(models.families):
        raise Refused("HiResMismatch")
    if models.needs_source:
        # The small image that it begins with would be drawn from noise alone.
        raise Refused("HiResFixMismatch")


def _check_transparency(source: SourceProcessing | None, models: ModelTraits) -> None:
    if source is not None:
        raise Refused("BadRequest", "params.transparent: does not work with a source image")
    if not _TRANSPARENT.issuperset(models.families):
        raise Refused(
            "BadRequest", "params.transparent: only models of SD 1.5 and SDXL can leave it empty"
        )
