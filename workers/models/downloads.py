"""Downloading large files from addresses that others gave, as a port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


class DownloadFailed(Exception):
    """A file, or the rest of it, cannot be had; the message never repeats the address."""

    def __init__(self, reason: str, *, may_pass: bool) -> None:
        """Say why.

        :param may_pass: whether trying again soon may help.
        """
        self.reason = reason
        self.may_pass = may_pass
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """How far a download may go."""

    max_bytes: int
    """Of the whole file."""
    seconds: float
    """For all of it."""
    stalled_seconds: float = 30.0
    """Without a single byte."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is coming."""

    start: int
    """Where in the file the first byte belongs: what was asked for, or 0 where a server cannot go
    on, or the file is another one now."""
    total: int | None
    """Bytes of the whole file, if the server says so."""
    validator: str | None
    """What tells this file from later ones at that address, for going on with it another time."""
    chunks: Iterator[bytes]
    """The bytes from there on; raises :class:`DownloadFailed`."""


class Downloads(Protocol):
    """The port to the outside."""

    def open(
        self, url: str, limits: DownloadLimits, *, start: int = 0, validator: str | None = None
    ) -> AbstractContextManager[Opened]:
        """Ask for a file, or for the rest of it.

        :param start: how many of its bytes are there already.
        :param validator: what they were told apart by when they came.
        :raises DownloadFailed: saying why there is nothing to be had.
        """
