"""What the installed distribution of this program is called, and which version it is."""

from __future__ import annotations

from importlib import metadata

DISTRIBUTION = "hoard-ledger"
"""The name in ``pyproject.toml``; the command and the import packages have names of their own."""


def installed_version() -> str | None:
    """The version that is installed here; None when the program runs without being installed."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None
