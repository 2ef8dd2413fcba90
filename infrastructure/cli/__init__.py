"""The ``hoard`` command."""

from __future__ import annotations

from infrastructure.cli.app import main

__all__ = ["main"]
