"""API keys: how they are made and what of them is kept."""

from __future__ import annotations

import hashlib
import secrets

ANONYMOUS_KEY = "0000000000"
"""The key that every front-end may use without an account (v2 interface)."""

_KEY_BYTES = 16


def new_api_key() -> str:
    """Make a key of 22 URL-safe characters carrying 128 random bits.

    Clients built on ``horde_sdk`` refuse any key that is not 22 characters long, the anonymous one
    aside; 16 random bytes in unpadded base64 are exactly that.
    """
    return secrets.token_urlsafe(_KEY_BYTES)


def digest_of(key: str) -> str:
    """Return the SHA-256 of a key as 64 lower-case hex digits: the only form that is stored.

    A slow, salted hash protects passwords, which people choose and attackers guess. A key of 128
    random bits cannot be guessed from its digest however fast the hash is, so a slow hash would
    add nothing but its cost to every request.

    Any text is accepted, lone surrogates included: a key comes from a client.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
