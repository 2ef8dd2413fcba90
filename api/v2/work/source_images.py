"""Source images: handed to workers by value."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from api.http.images import Blobs, as_base64
from api.v2.work.feature import PopFeature
from domain.images.source_images import SourceImages
from domain.jobs.commands import PoppedJob
from domain.return_codes import Refused

_logger = logging.getLogger(__name__)

_LOST = "a source image is lost"


def source_fields(popped: PoppedJob, feature: PopFeature, *, owner_id: UUID) -> dict[str, Any]:
    """Return the fields of a job that say what it starts from; the images as base64 of WebP.

    ``source_processing`` is there only with a source image: a worker takes a job without it for
    what it is, text to image.

    :param owner_id: the account of the worker.
    :raises Refused: ``Locked``, when an image of it is lost. No worker can make it then: the job is
        failed at once, and the request ends as faulted when that has happened often enough.
    """
    if popped.source is None:
        return {"source_image": None, "source_mask": None, "extra_source_images": None}
    try:
        return _encoded(popped.source, feature.blobs)
    except LookupError:
        _logger.error(_LOST, extra={"request_id": str(popped.request_id)})
        feature.jobs.fail(popped.job_id, owner_id=owner_id, reason=_LOST)
        raise Refused("Locked") from None


def _encoded(source: SourceImages, blobs: Blobs) -> dict[str, Any]:
    def encoded(digest: str) -> str:
        return as_base64(blobs.get(digest))

    return {
        "source_image": encoded(source.image) if source.image else None,
        "source_mask": encoded(source.mask) if source.mask else None,
        "extra_source_images": [
            {"image": encoded(each.digest), "strength": each.strength} for each in source.extra
        ]
        or None,
        **({"source_processing": source.processing} if source.image else {}),
    }
