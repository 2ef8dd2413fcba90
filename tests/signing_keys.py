"""Keys that sign webhooks, drawn anew; an installation makes its own from the master key."""

from __future__ import annotations

import secrets
from base64 import b64encode

from infrastructure.webhooks.signing import SECRET_PREFIX, SIGNING_KEY_PREFIX


def new_secret() -> str:
    """Return a secret for ``v1``."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(32)).decode()


def new_signing_key() -> str:
    """Return a private key for ``v1a``."""
    return SIGNING_KEY_PREFIX + b64encode(secrets.token_bytes(32)).decode()
