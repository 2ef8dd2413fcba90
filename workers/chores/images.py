"""Old images: what the blob store keeps for longer than it has to is deleted, bit by bit."""

from __future__ import annotations

from typing import Protocol

import structlog

_log = structlog.get_logger(__name__)


class ImageStore(Protocol):
    """The blob store as it is seen from here."""

    def delete_unused(self, part: int, seconds: float, /) -> int:
        """Delete what was not used for so long in one part of the store; return how many."""


class ImageDeletion:
    """Goes through the store one part a round: all of it may be millions of files."""

    def __init__(self, store: ImageStore, *, parts: int, days: float) -> None:
        """Delete what was not used for so many days.

        :param parts: of the store, numbered from 0; at least 1.
        """
        self._store = store
        self._parts = parts
        self._seconds = days * 86_400
        self._part = 0

    def run(self) -> int:
        """Delete the old images of the next part; return how many there were."""
        self._part = (self._part + 1) % self._parts
        deleted = self._store.delete_unused(self._part, self._seconds)
        if deleted:
            _log.info("images deleted", images=deleted)
        return deleted
