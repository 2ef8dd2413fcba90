"""How a finished image reaches the server: brought to its upload address, or within the submit."""

from __future__ import annotations

import base64
from typing import Protocol
from uuid import UUID

import structlog

from domain.service.fetching import FetchFailed, FetchProblem
from workers.remote.errors import ServerAway
from workers.remote.server import Server

_log = structlog.get_logger(__name__)

UPLOADED = "R2"
"""What stands in a submit for an image that was uploaded; the v2 API's word."""

_SECONDS = 120.0
_ATTEMPTS = 3
_OK = range(200, 300)
_HOPELESS = frozenset({FetchProblem.ADDRESS_INVALID, FetchProblem.ADDRESS_REFUSED})
_PASSING = frozenset({408, 425, 429})


class Uploader(Protocol):
    """Brings files to addresses that a stranger gave, and to nothing but the public internet."""

    def put(self, url: str, data: bytes, *, seconds: float) -> int:
        """Bring bytes to an address and return the HTTP status.

        :raises FetchFailed: saying why they were not brought.
        """


class Delivery:
    """Brings the images of one job to where the server wants them.

    An address that does not take an image, for a reason that will not pass or three times, is left
    alone: the image then travels within its submit, which servers take as well.
    """

    def __init__(self, server: Server, uploader: Uploader, addresses: dict[UUID, str]) -> None:
        """Deliver to these addresses, by image; what has none travels within its submit.

        :param uploader: for addresses elsewhere than on the server itself.
        """
        self._server = server
        self._uploader = uploader
        self._addresses = dict(addresses)
        self._uploaded: set[UUID] = set()
        self._failures = 0

    def generation_of(self, image_id: UUID, file: bytes) -> str:
        """Return what to submit for an image, which has been uploaded then if it is to be.

        :raises ServerAway: when that is worth another try.
        :raises Refused: what the server itself refuses.
        """
        address = self._addresses.get(image_id)
        if address is None:
            return base64.b64encode(file).decode()
        if image_id not in self._uploaded and not self._brought(address, file):
            del self._addresses[image_id]
            return self.generation_of(image_id, file)
        self._uploaded.add(image_id)
        return UPLOADED

    def _brought(self, address: str, file: bytes) -> bool:
        """Whether the address has the image now; False when it never will."""
        if self._server.owns(address):
            self._server.upload(address, file)
            return True
        try:
            status = self._uploader.put(address, file, seconds=_SECONDS)
        except FetchFailed as failure:
            return self._not_brought(str(failure), hopeless=failure.trouble in _HOPELESS)
        if status in _OK:
            return True
        return self._not_brought(f"it answered {status}", hopeless=_is_final(status))

    def _not_brought(self, why: str, *, hopeless: bool) -> bool:
        self._failures += 1
        if hopeless or self._failures >= _ATTEMPTS:
            _log.warning("image sent within its submit", why=f"its upload address failed: {why}")
            return False
        raise ServerAway(f"an upload address failed: {why}")


def _is_final(status: int) -> bool:
    return status not in _PASSING and status < 500
