"""Documents of the operators: terms, privacy policy and sponsors."""

from __future__ import annotations

from typing import Protocol

NAMES = ("terms", "privacy", "sponsors")
"""The documents that there are."""


class Documents(Protocol):
    """The port to the documents."""

    def text(self, name: str, form: str) -> str:
        """Return a document as ``html`` or ``markdown``; empty where the operators wrote none."""
