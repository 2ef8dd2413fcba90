"""Addresses at which anybody who has them can fetch an image for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol
from uuid import UUID

_PURPOSE = "image"
_REPEATED = timedelta(minutes=5)
"""How long a client that asks again gets the same address, so that it need not fetch again."""


class Signer(Protocol):
    """The port to signatures of addresses that are valid for a while."""

    def sign(
        self,
        purpose: str,
        subject: str,
        lifetime: timedelta,
        *,
        repeated: timedelta = timedelta(0),
    ) -> str:
        """Return the query that makes an address count: ``expires=…&signature=…``.

        :param purpose: what may be done, such as ``upload``; it holds for no other purpose.
        :param subject: what it may be done to, such as an image's id.
        :param lifetime: how long it counts, at least.
        :param repeated: how long the very same query is handed out; it may count for longer by
            so much.
        """

    def verify(self, purpose: str, subject: str, *, expires: str, signature: str) -> None:
        """Check what an address brought.

        :raises Refused: ``Forbidden``, when it is wrong, made for something else, or has expired.
        """


def image_address(
    signer: Signer, root: str, request_id: UUID, image_id: UUID, lifetime: timedelta
) -> str:
    """Return the address of an image of a request.

    :param root: what it starts with, without a slash at its end.
    :param lifetime: how long it counts, at least.
    """
    query = signer.sign(_PURPOSE, _subject(request_id, image_id), lifetime, repeated=_REPEATED)
    return f"{root}/api/v2/generate/images/{request_id}/{image_id}.webp?{query}"


def verify_image_address(
    signer: Signer, request_id: UUID, image_id: UUID, *, expires: str, signature: str
) -> None:
    """Check that an image was asked for at an address that was made for it.

    :raises Refused: ``Forbidden``, when it was not, or the address has expired.
    """
    signer.verify(_PURPOSE, _subject(request_id, image_id), expires=expires, signature=signature)


def _subject(request_id: UUID, image_id: UUID) -> str:
    return f"{request_id}/{image_id}"
