"""How a worker's main process tells the process that runs its batches to come to an end."""

from __future__ import annotations

import contextlib
import os
import select
import time


class ShutdownPipe:
    """A pipe made before the fork: one byte in it means that everybody should end.

    Writing is all that happens in a signal handler, and a pool process that is started later sees
    the byte, too.
    """

    def __init__(self, grace_seconds: float) -> None:
        """Give a batch that is under way so long to finish."""
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._grace = grace_seconds
        self._noticed_at: float | None = None

    def ask(self) -> None:
        """Ask every process that shares the pipe to end."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"x")

    def is_asked(self) -> bool:
        """Whether no further job should be started."""
        asked = bool(select.select([self._reader], [], [], 0)[0])
        if asked and self._noticed_at is None:
            self._noticed_at = time.monotonic()
        return asked

    def is_due(self) -> bool:
        """Whether the batch at hand has to be given up: the time of grace is over."""
        if not self.is_asked() or self._noticed_at is None:
            return False
        return time.monotonic() - self._noticed_at >= self._grace
