"""Signed webhooks: a receiver can verify origin, content, age and id.

This is Standard Webhooks 1.0.0 (standardwebhooks.com): three headers, of which the last signs the
other two and the body. The scheme ``v1`` is HMAC-SHA256 under a secret that both sides know;
``v1a`` is Ed25519 (RFC 8032), where the receiver knows a public key and can forge nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"

SECRET_PREFIX = "whsec_"
SIGNING_KEY_PREFIX = "whsk_"
PUBLIC_KEY_PREFIX = "whpk_"

_FEWEST_SECRET_BYTES = 24
_MOST_SECRET_BYTES = 64
_ED25519_BYTES = 32

# A full stop parts what is signed: within an id it would let two messages read the same.
_WEBHOOK_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


class WebhookKeyUnusable(ValueError):
    """A text is no key that webhooks can be signed with; the message does not quote the text."""


def public_key_of(signing_key: str) -> str:
    """Return the public key of a private one: ``whpk_`` and its 32 bytes in base64.

    :raises WebhookKeyUnusable: when it is no private key.
    """
    return PUBLIC_KEY_PREFIX + _encoded(_private_key(signing_key).public_key().public_bytes_raw())


class WebhookSigner:
    """Signs what goes to one endpoint, with every key that counts there at present."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Sign under some keys: two while the one takes over from the other, one otherwise.

        :param keys: secrets (``whsec_…``) and private keys (``whsk_…``), also mixed. Their
            signatures are sent in this order; receivers take the first that they can verify.
        :raises WebhookKeyUnusable: when there is none, or one of them is no key.
        """
        if not keys:
            raise WebhookKeyUnusable("a webhook is signed with one key at least")
        self._keys = tuple(_read(key) for key in keys)

    def headers(self, webhook_id: str, attempted_at: datetime, body: bytes) -> dict[str, str]:
        """Return the three headers of one attempt.

        :param webhook_id: the same at every attempt: 1 to 128 of ``A-Z a-z 0-9 _ -``.
        :param attempted_at: when this attempt is made, with its time zone; receivers refuse what
            is more than five minutes off their clock.
        :param body: what is sent, to the byte, in UTF-8.
        :raises ValueError: when the id has other characters, the moment has no time zone or the
            body is not UTF-8.
        """
        if not _WEBHOOK_ID.fullmatch(webhook_id):
            raise ValueError("a webhook's id has 1 to 128 of the characters A-Z a-z 0-9 _ -")
        if attempted_at.tzinfo is None:
            raise ValueError("the moment of an attempt has a time zone")
        # The package takes the hands of any clock for those of UTC.
        second = attempted_at.astimezone(UTC).replace(microsecond=0)
        text = body.decode("utf-8")
        return {
            ID_HEADER: webhook_id,
            TIMESTAMP_HEADER: str(int(second.timestamp())),
            SIGNATURE_HEADER: " ".join(key.sign(webhook_id, second, text) for key in self._keys),
        }


class _Key(Protocol):
    def sign(self, msg_id: str, timestamp: datetime, data: str) -> str: ...


class _Ed25519Key:
    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def sign(self, msg_id: str, timestamp: datetime, data: str) -> str:
        signed = f"{msg_id}.{int(timestamp.timestamp())}.{data}".encode()
        return f"v1a,{_encoded(self._key.sign(signed))}"


def _read(key: str) -> _Key:
    if key.startswith(SIGNING_KEY_PREFIX):
        return _Ed25519Key(_private_key(key))
    secret = _decoded(key, SECRET_PREFIX)
    if not _FEWEST_SECRET_BYTES <= len(secret) <= _MOST_SECRET_BYTES:
        raise WebhookKeyUnusable(
            f"a webhook secret has {_FEWEST_SECRET_BYTES} to {_MOST_SECRET_BYTES} bytes"
        )
    return Webhook(secret)


def _private_key(key: str) -> Ed25519PrivateKey:
    seed = _decoded(key, SIGNING_KEY_PREFIX)
    if len(seed) != _ED25519_BYTES:
        raise WebhookKeyUnusable(f"a private key for webhooks has {_ED25519_BYTES} bytes")
    return Ed25519PrivateKey.from_private_bytes(seed)


def _encoded(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")


def _decoded(key: str, prefix: str) -> bytes:
    if not key.startswith(prefix):
        raise WebhookKeyUnusable(f"this key for webhooks starts with {prefix}")
    try:
        return base64.b64decode(key.removeprefix(prefix), validate=True)
    except ValueError:
        raise WebhookKeyUnusable(f"after {prefix} a key for webhooks is base64") from None
