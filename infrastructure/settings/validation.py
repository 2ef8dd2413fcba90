"""What several settings are checked for: folders and addresses."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit


def absolute(folder: Path | str) -> Path:
    """Return the folder as a process with another working folder finds it, too."""
    return Path(os.path.abspath(os.path.expanduser(folder)))


def web_address(url: str) -> str:
    """Return an address without a closing slash.

    :raises ValueError: when it is none, or holds what does not belong there.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must start with http:// or https:// and name a host")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("may hold scheme, host, port and path only")
    return url.rstrip("/")
