"""The images that a job of somebody else's server starts from, brought into the pocket."""

from __future__ import annotations

import base64
import binascii

import structlog

from domain.images.source_images import MOST_BYTES, ExtraSourceImage, SourceImages
from domain.service.fetching import Fetcher, FetchFailed, FetchLimits
from workers.remote.answers import Offer
from workers.remote.image_cache import JobImages

_log = structlog.get_logger(__name__)

_LIMITS = FetchLimits(max_bytes=MOST_BYTES, seconds=30)

_MISSING = ""
"""Stands for an image that could not be had: the pocket never has it, so the job is given up."""


def sources_of(offer: Offer, fetcher: Fetcher, job_images: JobImages) -> SourceImages | None:
    """Return what a job starts from, its images in the pocket; None when that is noise alone.

    :param fetcher: fetches what is given by its address; it must be one that strangers' addresses
        can be left to.
    """
    if offer.source_image is None:
        return None

    def kept(given: str) -> str:
        data = _bytes_of(given, fetcher)
        return _MISSING if data is None else job_images.put(data)

    return SourceImages(
        processing=offer.source_processing,
        image=kept(offer.source_image),
        mask=None if offer.source_mask is None else kept(offer.source_mask),
        extra=tuple(
            ExtraSourceImage(kept(each.image), each.strength) for each in offer.extra_source_images
        ),
    )


def _bytes_of(given: str, fetcher: Fetcher) -> bytes | None:
    if given.startswith(("http://", "https://")):
        try:
            return fetcher.get(given, _LIMITS).data
        except FetchFailed as failure:
            _log.warning("source image not fetched", why=str(failure))
            return None
    try:
        return base64.b64decode(given, validate=True)
    except binascii.Error:
        _log.warning("source image not read", why="it is no base64")
        return None
