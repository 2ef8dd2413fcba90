"""How a worker's main process tells the process that runs its batches to come to an end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
import time


class ShutdownPipe:
    """A pipe made before the fork: a byte in it means that everybody should end, a second now.

    Writing is all that happens in a signal handler, and a pool process that is started later sees
    the bytes, too.
    """

    def __init__(self, grace_seconds: float | None) -> None:
        """Give a batch that is under way so long to finish; None: as long as its lease holds."""
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._grace = grace_seconds
        self._noticed_at: float | None = None

    def ask(self) -> None:
        """Ask every process that shares the pipe to end; asked again, not to wait any longer."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"x")

    def is_asked(self) -> bool:
        """Whether no further job should be started."""
        return self._times_asked() > 0

    def is_due(self) -> bool:
        """Whether the batch at hand has to be given up: asked twice, or its grace is over."""
        times = self._times_asked()
        if times == 0 or self._noticed_at is None:
            return False
        if times > 1:
            return True
        return self._grace is not None and time.monotonic() - self._noticed_at >= self._grace

    def _times_asked(self) -> int:
        waiting = fcntl.ioctl(self._reader, termios.FIONREAD, struct.pack("i", 0))
        times: int = struct.unpack("i", waiting)[0]
        if times and self._noticed_at is None:
            self._noticed_at = time.monotonic()
        return times
