"""ControlNet: a source image that says where things are, rather than what is drawn over."""

from __future__ import annotations

from collections.abc import Collection

from domain.images.settings import ImageSettings
from domain.images.source_images import SourceProcessing
from domain.models.catalogue import Baseline
from domain.return_codes import Refused

CONTROL_TYPES = frozenset(
    {
        "canny",
        "depth",
        "fakescribbles",
        "hed",
        "hough",
        "normal",
        "openpose",
        "scribble",
        "seg",
    }
)
"""What a ControlNet can take from an image, by the v2 names."""

CONTROLLED_STEPS = 20
"""Steps of a request with a control type that names none."""

MOST_CONTROLLED_STEPS = 40
"""Most steps of a request with a control type."""

_CONTROLLABLE = frozenset({Baseline.SD_1, Baseline.SD_2, Baseline.SD_2_512, Baseline.SDXL})
_SD_2 = frozenset({Baseline.SD_2, Baseline.SD_2_512})
_LACKED_BY_SD_2 = frozenset({"normal", "hough"})


def check_control(
    settings: ImageSettings,
    *,
    source: SourceProcessing | None,
    families: Collection[Baseline],
    needs_source: bool = False,
) -> None:
    """Check a control type against everything else that was asked: the AI Horde's rules.

    :param source: what is done with the source image; None when there is none.
    :param families: those of the request's models; empty when any model will do.
    :param needs_source: whether one of the models only changes images, as inpainting models do.
    :raises Refused: ``ControlNetInvalidPayload``, ``ControlNetSourceMissing``,
        ``ControlNetInpaintingMismatch``, ``ControlNetMismatch``, ``ControlNetUnsupported`` or
        ``TooManySteps``.
    """
    if settings.image_is_control and settings.return_control_map:
        raise Refused("ControlNetInvalidPayload")
    if settings.control_type is None:
        if settings.image_is_control or settings.return_control_map:
            raise Refused("ControlNetInvalidPayload")
        return
    if source is None:
        raise Refused("ControlNetSourceMissing")
    if source in (SourceProcessing.INPAINTING, SourceProcessing.OUTPAINTING):
        raise Refused("ControlNetInpaintingMismatch")
    if settings.workflow is not None or settings.transparent:
        raise Refused("ControlNetMismatch")
    if needs_source or (
        settings.control_type in _LACKED_BY_SD_2 and not _SD_2.isdisjoint(families)
    ):
        raise Refused("ControlNetUnsupported")
    if not _CONTROLLABLE.issuperset(families):
        raise Refused("ControlNetMismatch")
    if settings.steps > MOST_CONTROLLED_STEPS:
        raise Refused("TooManySteps", most=MOST_CONTROLLED_STEPS)
