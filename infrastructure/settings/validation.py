"""Checks that several settings share: folders, URLs, networks."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from infrastructure.outbound.public_addresses import Network


def absolute(folder: Path | str) -> Path:
    """Return the absolute path, which processes with another working folder find, too."""
    return Path(os.path.abspath(os.path.expanduser(folder)))


def web_address(url: str) -> str:
    """Return an address without a closing slash.

    :raises ValueError: when it is not an address, or holds more than scheme, host, port and path.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must start with http:// or https:// and name a host")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("may hold scheme, host, port and path only")
    return url.rstrip("/")


def with_scheme(url: str | None, schemes: frozenset[str]) -> str | None:
    """Return a URL of one of these schemes, or None for None.

    :raises ValueError: when it has another scheme.
    """
    if url is not None and url.partition("://")[0] not in schemes:
        raise ValueError(f"must be a URL that starts with one of {', '.join(sorted(schemes))}://")
    return url


def networks_from(text: str) -> tuple[Network, ...]:
    """Read networks that are separated by spaces or commas.

    :raises ValueError: when one is not a network.
    """
    return tuple(ip_network(part) for part in text.replace(",", " ").split())
