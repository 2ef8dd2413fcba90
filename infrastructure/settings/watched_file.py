"""A file that operators edit while Hoard runs: read again when it changed, never half."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

_log = structlog.get_logger(__name__)

_SECONDS = 5.0

Content = TypeVar("Content")


class WatchedFile(Generic[Content]):
    """What a file says, at most five seconds late; a file that is not there says nothing."""

    def __init__(
        self,
        path: Path,
        read: Callable[[str], Content],
        *,
        empty: Content,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch a file.

        :param read: turns its text into what it says; raises ValueError when it cannot.
        :param empty: what it says while it is not there.
        :param clock: seconds of a clock that never goes back.
        """
        self._path = path
        self._read = read
        self._empty = empty
        self._clock = clock
        self._looked_at = float("-inf")
        self._mark: tuple[int, int, int] | None = None
        self._content = empty

    @property
    def path(self) -> Path:
        """Where the file is, or would be."""
        return self._path

    def load(self) -> None:
        """Read it now.

        :raises ValueError: when it is there and cannot be understood.
        """
        mark = self._mark_of_file()
        if mark is None:
            self._content = self._empty
        else:
            self._content = self._read(self._path.read_text(encoding="utf-8"))
        self._mark = mark
        self._looked_at = self._clock()

    def content(self) -> Content:
        """Return what it says; what it said last, when it cannot be understood any more."""
        now = self._clock()
        if now - self._looked_at >= _SECONDS:
            # Whoever comes meanwhile is given what was known before.
            self._looked_at = now
            mark = self._mark_of_file()
            if mark != self._mark:
                try:
                    self.load()
                except (OSError, ValueError) as error:
                    self._mark = mark
                    _log.warning("file_not_understood", file=str(self._path), reason=str(error))
        return self._content

    def _mark_of_file(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
