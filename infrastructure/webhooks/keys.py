"""The keys that sign webhooks, made from the master key: nothing of them is stored anywhere."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from infrastructure.keys.master_key import derived_key
from infrastructure.webhooks.signing import (
    SECRET_PREFIX,
    SIGNING_KEY_PREFIX,
    WebhookSigner,
    public_key_of,
)

_SECRETS = b"hoard: webhook secrets, version 1"
_SIGNING_KEYS = b"hoard: webhook signing keys, version 1"
_DESTINATIONS = b"hoard: webhook destinations, version 1"


class WebhookKeys:
    """Keys of accounts (HKDF, RFC 5869), and the ids of the addresses that requests name.

    Every process of an installation makes the same ones. A reader without the master key can make
    none of them, and no id reveals which address it belongs to.
    """

    def __init__(self, master_key: bytes) -> None:
        """Make keys from a master key."""
        self._master_key = master_key

    def secret(self, account_id: UUID, number: int) -> str:
        """Return an account's secret (``whsec_…``), of which it may have had several.

        :param number: 1 for the first one.
        """
        return SECRET_PREFIX + _encoded(self._made(_SECRETS, account_id.bytes, number))

    def signing_key(self, account_id: UUID) -> str:
        """Return the private ed25519 key (``whsk_…``) for an account; it leaves no process."""
        return SIGNING_KEY_PREFIX + _encoded(self._made(_SIGNING_KEYS, account_id.bytes, 0))

    def public_key(self, account_id: UUID) -> str:
        """Return the public key (``whpk_…``) that belongs to :meth:`signing_key`."""
        return public_key_of(self.signing_key(account_id))

    def destination(self, account_id: UUID, address: str) -> UUID:
        """Return the destination of an account's webhook (:mod:`domain.webhooks.webhook`).

        :param address: readable as an address; its query and fragment do not matter.
        """
        parts = urlsplit(address)
        message = f"{parts.scheme}://{parts.netloc.lower()}{parts.path}".encode()
        key = self._made(_DESTINATIONS, account_id.bytes, 0)
        digest = hmac.new(key, message, hashlib.sha256).digest()
        return UUID(bytes=digest[:16], version=4)

    def _made(self, purpose: bytes, subject: bytes, number: int) -> bytes:
        return derived_key(self._master_key, purpose + subject + number.to_bytes(8, "big"))


class AccountSigner:
    """Signs deliveries with every key that counts for their account at that moment."""

    def __init__(self, keys: WebhookKeys, secret_numbers: Callable[[UUID], Sequence[int]]) -> None:
        """Sign with these keys.

        :param secret_numbers: returns which of an account's secrets count now, the newest first.
        """
        self._keys = keys
        self._secret_numbers = secret_numbers

    def headers(
        self, account_id: UUID, delivery_id: UUID, attempted_at: datetime, body: bytes
    ) -> dict[str, str]:
        """Return the three headers that sign one attempt for an account.

        :param attempted_at: with its time zone.
        """
        secrets = [self._keys.secret(account_id, each) for each in self._secret_numbers(account_id)]
        signer = WebhookSigner([*secrets, self._keys.signing_key(account_id)])
        return signer.headers(str(delivery_id), attempted_at, body)


def _encoded(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")
