"""Whether settings suit the models of a request: what no worker could draw is refused at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from domain.images.controlnet import check_control
from domain.images.post_processing import POST_PROCESSORS, check_post_processing
from domain.images.settings import ImageSettings
from domain.images.source_images import SourceProcessing
from domain.images.workflows import check_workflow
from domain.models.catalogue import Baseline, Models, baseline_of, heaviest
from domain.models.loras import check_loras, check_textual_inversions
from domain.return_codes import Refused

_TRANSFORMERS = frozenset({Baseline.FLUX, Baseline.QWEN, Baseline.Z_IMAGE})
_UNTILABLE = _TRANSFORMERS | {Baseline.CASCADE}
_TRANSPARENT = frozenset({Baseline.SD_1, Baseline.SDXL})
_REMIXING = frozenset({Baseline.CASCADE})
_PAINTING = frozenset({SourceProcessing.INPAINTING, SourceProcessing.OUTPAINTING})


@dataclass(frozen=True, slots=True)
class ModelsAsked:
    """What follows from the names of a request's models."""

    families: frozenset[Baseline]
    """Empty when any model will do."""
    heaviest: Baseline
    """What the request is priced by; that of SD 1.5 when any model will do."""
    needs_source: bool
    """Whether one of them only changes images."""


def models_asked(names: Sequence[str], models: Models) -> ModelsAsked:
    """Look up what is known of a request's models.

    :raises Refused: ``UnexpectedModelName``, when one is a post-processor's.
    """
    for name in names:
        if name in POST_PROCESSORS:
            raise Refused("UnexpectedModelName", model=name)
    entries = [entry for name in names if (entry := models.entry(name)) is not None]
    return ModelsAsked(
        families=frozenset(baseline_of(name, models) for name in names),
        heaviest=heaviest(names, models),
        needs_source=any(entry.requires_source for entry in entries),
    )


def check_compatibility(
    settings: ImageSettings,
    *,
    asked: ModelsAsked,
    source: SourceProcessing | None,
    texts: Collection[tuple[str, str]] = (),
) -> None:
    """Check that the settings go together, and with every model that may be chosen.

    The rules and their codes are the AI Horde's, but that a remix is refused with
    ``Img2ImgMismatch`` and transparency with ``BadRequest``: the codes that it has for them are
    kept for later.

    :param source: what is done with the source image; None when there is none.
    :param texts: each extra text with what it is referred to by.
    :raises Refused: with the code of the first rule that is broken.
    """
    check_loras(settings.loras)
    check_textual_inversions(settings.tis)
    check_post_processing(settings.post_processing)
    check_control(settings, source=source, families=asked.families, needs_source=asked.needs_source)
    check_workflow(settings, texts=texts, source=source, families=asked.families)
    if asked.needs_source and source is None:
        raise Refused("SourceImageRequiredForModel")
    _check_source(source, asked.families)
    if settings.hires_fix:
        _check_hires_fix(asked)
    if settings.tiling and not _UNTILABLE.isdisjoint(asked.families):
        raise Refused("TilingMismatch")
    if settings.transparent:
        _check_transparency(source, asked.families)


def _check_source(source: SourceProcessing | None, families: Collection[Baseline]) -> None:
    if source is SourceProcessing.REMIX and not _REMIXING.issuperset(families):
        raise Refused("Img2ImgMismatch")
    if source in _PAINTING and Baseline.CASCADE in families:
        raise Refused("Img2ImgMismatch")


def _check_hires_fix(asked: ModelsAsked) -> None:
    if not _TRANSFORMERS.isdisjoint(asked.families):
        raise Refused("HiResMismatch")
    if asked.needs_source:
        # The small image that it begins with would be drawn from noise alone.
        raise Refused("HiResFixMismatch")


def _check_transparency(source: SourceProcessing | None, families: Collection[Baseline]) -> None:
    if source is not None:
        raise Refused("BadRequest", "params.transparent: does not work with a source image")
    if not _TRANSPARENT.issuperset(families):
        raise Refused(
            "BadRequest", "params.transparent: only models of SD 1.5 and SDXL can leave it empty"
        )
