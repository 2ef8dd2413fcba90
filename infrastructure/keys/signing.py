"""Signed addresses: a holder may do one thing, for a limited time, without an API key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
from datetime import timedelta

from domain.ports import Clock
from domain.return_codes import Refused
from infrastructure.keys.master_key import derived_key

_KEY_PURPOSE = b"hoard: signed addresses, version 1"
_MOMENT = re.compile(r"[0-9]{1,12}", re.ASCII)


class AddressSigner:
    """Signs what an address is for, what it names and when it ends: HMAC-SHA256 (RFC 2104).

    The key is derived from the master key (HKDF, RFC 5869), so that every process of an
    installation agrees on it and it is of no use for anything else. Nothing is stored: an address
    cannot be revoked before it expires.
    """

    def __init__(self, master_key: bytes, clock: Clock) -> None:
        """Sign under a master key.

        :param clock: says what has ended.
        """
        self._key = derived_key(master_key, _KEY_PURPOSE)
        self._clock = clock

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
        :param repeated: how long the very same query is handed out, so that browsers keep what
            they fetched; it may count for longer by so much.
        """
        step = max(1, math.ceil(repeated.total_seconds()))
        ends_at = self._clock.now().timestamp() + lifetime.total_seconds()
        expires = str(math.ceil(ends_at / step) * step)
        return f"expires={expires}&signature={self._signature(purpose, subject, expires)}"

    def verify(self, purpose: str, subject: str, *, expires: str, signature: str) -> None:
        """Check what an address brought, both as it was written there.

        :raises Refused: ``Forbidden``, when the signature is missing, wrong, made for something
            else, or has expired.
        """
        good = self._signature(purpose, subject, expires)
        # As bytes: text that is not ASCII, which a client may send, cannot be compared so.
        given = signature.encode("utf-8", "surrogatepass")
        if not _MOMENT.fullmatch(expires) or not hmac.compare_digest(good.encode(), given):
            raise Refused("Forbidden", "The signature of this address is missing or wrong.")
        if self._clock.now().timestamp() >= int(expires):
            raise Refused("Forbidden", "This address has expired. Ask for a new one.")

    def _signature(self, purpose: str, subject: str, expires: str) -> str:
        signed = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in (purpose, subject, expires):
            encoded = part.encode("utf-8", "surrogatepass")
            # Each with its length: no two triples may read the same.
            signed.update(len(encoded).to_bytes(4, "big") + encoded)
        return base64.urlsafe_b64encode(signed.digest()).decode("ascii").rstrip("=")
