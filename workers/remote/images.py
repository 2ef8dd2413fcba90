"""The images of the job at hand: its sources, those in memory, and their way to the server."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Protocol
from uuid import UUID

import structlog

from domain.images.source_images import MOST_BYTES, ExtraSourceImage, SourceImages
from domain.service.fetching import Fetcher, FetchFailed, FetchLimits, FetchProblem
from workers.remote.pop import Offer
from workers.remote.server import Server, ServerAway

_log = structlog.get_logger(__name__)

_FETCH_LIMITS = FetchLimits(max_bytes=MOST_BYTES, seconds=30)

_MISSING = ""
"""Stands for an image that could not be had: it is never in memory, so the job is faulted."""

UPLOADED = "R2"
"""What stands in a submit for an image that was uploaded; the v2 API's word."""

_UPLOAD_SECONDS = 120.0
_UPLOAD_ATTEMPTS = 3
_UPLOADED_STATUSES = range(200, 300)
_FINAL_PROBLEMS = frozenset({FetchProblem.ADDRESS_INVALID, FetchProblem.ADDRESS_REFUSED})
_PASSING_STATUSES = frozenset({408, 425, 429})


class JobImages:
    """Holds what one job starts from and what it made, until the next job."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._files: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        """Keep the bytes and return their digest, 64 lower-case hexadecimal digits."""
        digest = hashlib.sha256(data).hexdigest()
        self._files[digest] = data
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes.

        :raises LookupError: when there are none.
        """
        return self._files[digest]

    def empty(self) -> None:
        """Let go of everything."""
        self._files.clear()


def sources_of(offer: Offer, fetcher: Fetcher, job_images: JobImages) -> SourceImages | None:
    """Return what a job starts from, its images in memory; None when that is noise alone.

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
            return fetcher.get(given, _FETCH_LIMITS).data
        except FetchFailed as failure:
            _log.warning("source image not fetched", why=str(failure))
            return None
    try:
        return base64.b64decode(given, validate=True)
    except binascii.Error:
        _log.warning("source image not read", why="it is no base64")
        return None


class Uploader(Protocol):
    """Brings files to addresses that a stranger gave, and to nothing but the public internet."""

    def put(self, url: str, data: bytes, *, seconds: float) -> int:
        """Bring bytes to an address and return the HTTP status.

        :raises FetchFailed: saying why they were not brought.
        """


class Submission:
    """Brings the images of one job to where the server wants them.

    An address that does not take an image, for a reason that will not pass or three times, is left
    alone: the image then travels within its submit, which servers take as well.
    """

    def __init__(self, server: Server, uploader: Uploader, addresses: dict[UUID, str]) -> None:
        """Submit to these addresses, by image; what has none travels within its submit.

        :param uploader: for addresses elsewhere than on the server itself.
        """
        self._server = server
        self._uploader = uploader
        self._addresses = dict(addresses)
        self._uploaded: set[UUID] = set()
        self._failures = 0

    def generation_of(self, image_id: UUID, file: bytes) -> str:
        """Return what to submit for an image, which has been uploaded then if it is to be.

        :raises ServerAway: when that is worth another attempt.
        :raises Refused: what the server itself refuses.
        """
        address = self._addresses.get(image_id)
        if address is None:
            return base64.b64encode(file).decode()
        if image_id not in self._uploaded and not self._upload(address, file):
            del self._addresses[image_id]
            return self.generation_of(image_id, file)
        self._uploaded.add(image_id)
        return UPLOADED

    def _upload(self, address: str, file: bytes) -> bool:
        """Whether the address has the image now; False when it never will."""
        if self._server.owns(address):
            self._server.upload(address, file)
            return True
        try:
            status = self._uploader.put(address, file, seconds=_UPLOAD_SECONDS)
        except FetchFailed as failure:
            return self._upload_failed(str(failure), final=failure.problem in _FINAL_PROBLEMS)
        if status in _UPLOADED_STATUSES:
            return True
        return self._upload_failed(f"it answered {status}", final=_is_final(status))

    def _upload_failed(self, why: str, *, final: bool) -> bool:
        self._failures += 1
        if final or self._failures >= _UPLOAD_ATTEMPTS:
            _log.warning("image sent within its submit", why=f"its upload address failed: {why}")
            return False
        raise ServerAway(f"an upload address failed: {why}")


def _is_final(status: int) -> bool:
    return status not in _PASSING_STATUSES and status < 500
