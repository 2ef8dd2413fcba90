"""A file that operators edit while Hoard runs: read again after each change."""

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
    """The content of a file, at most five seconds late; a default while the file is missing."""

    def __init__(
        self,
        path: Path,
        read: Callable[[str], Content],
        *,
        empty: Content,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch a file.

        :param read: parses its text; raises ValueError when that is not possible.
        :param empty: the content of a missing file.
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

        :raises ValueError: when it exists and cannot be parsed.
        """
        mark = self._mark_of_file()
        if mark is None:
            self._content = self._empty
        else:
            self._content = self._read(self._path.read_text(encoding="utf-8"))
        self._mark = mark
        self._looked_at = self._clock()

    def content(self) -> Content:
        """Return the content; the last valid one, when it cannot be parsed now."""
        now = self._clock()
        if now - self._looked_at >= _SECONDS:
            # Other threads get the previous content meanwhile.
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
