"""Calls to this machine itself: never through the proxy that the environment names."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

DIRECT: Mapping[str, httpx.BaseTransport | None] = {
    "all://localhost": None,
    "all://127.0.0.1": None,
    "all://[::1]": None,
}
"""As ``mounts`` of an httpx client: what is there goes directly. A proxy cannot reach it."""
