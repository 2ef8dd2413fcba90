"""Workflows: ready-made ways of drawing that a worker knows by name."""

from __future__ import annotations

from collections.abc import Collection

from domain.images.settings import ImageSettings
from domain.images.source_images import SourceProcessing
from domain.models.catalogue import Baseline
from domain.return_codes import Refused

QR_CODE = "qr_code"
"""Draws a picture that is also a QR code of a text."""

WORKFLOWS = frozenset({QR_CODE})
"""Every workflow of the v2 API."""

QR_CODE_TEXT = "qr_code"
"""What the text is referred to by that the QR code says."""

_DRAWS_QR_CODES = frozenset({Baseline.SD_1, Baseline.SDXL})


def check_workflow(
    settings: ImageSettings,
    *,
    texts: Collection[tuple[str, str]],
    source: SourceProcessing | None,
    families: Collection[Baseline],
) -> None:
    """Check that a workflow gets what it needs, and nothing that it cannot use.

    :param texts: each text with what it is referred to by.
    :param source: what is done with the source image; None when there is none.
    :param families: those of the request's models; empty when any model will do.
    :raises Refused: ``Img2ImgMismatch``, ``ControlNetMismatch`` or ``BadRequest``.
    """
    if settings.workflow is None:
        if texts:
            raise Refused("BadRequest", "params.extra_texts: only a workflow draws texts")
        return
    if not any(reference == QR_CODE_TEXT for _, reference in texts):
        raise Refused(
            "BadRequest",
            f"params.extra_texts: the workflow {QR_CODE} needs a text with the reference"
            f" {QR_CODE_TEXT}",
        )
    if source is not None:
        raise Refused("Img2ImgMismatch")
    if not _DRAWS_QR_CODES.issuperset(families):
        raise Refused("ControlNetMismatch")


def needs_single_jobs(workflow: str | None) -> bool:
    """Whether a workflow makes each image as a job of its own, whoever the requester is."""
    return workflow == QR_CODE
