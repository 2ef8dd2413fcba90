"""Signals for a process that supervises others: counted, and able to cut a wait short."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import termios
import time
from types import FrameType
from typing import Any, Self

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interruptions:
    """Counts requests to stop, and waits until something happens; for the main thread only."""

    def __init__(self) -> None:
        """Change nothing yet; use it as a context manager."""
        self.stops = 0
        """How often this process was asked to stop."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals over."""
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in _STOPPING:
            self._before[number] = signal.signal(number, self._note)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _ignore)
        return self

    def __exit__(self, *_error: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float) -> None:
        """Wait for a signal, a child's end among them, or for that many seconds."""
        if select.select([self._reader], [], [], max(0.0, seconds))[0]:
            with contextlib.suppress(BlockingIOError):
                while self._reader.recv(4096):
                    continue

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.stops += 1


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: a signal without a handler would not end a wait."""


class Stopping:
    """Asked once, a process takes no more work; asked twice, it gives up what it has."""

    def __init__(self, interruptions: Interruptions, grace_seconds: float | None) -> None:
        """Give a batch that is under way so long to finish; None: as long as its lease holds."""
        self._interruptions = interruptions
        self._grace = grace_seconds
        self._noticed_at: float | None = None

    def is_asked(self) -> bool:
        """Whether no further job should be started."""
        if self._interruptions.stops and self._noticed_at is None:
            self._noticed_at = time.monotonic()
        return self._noticed_at is not None

    def is_due(self) -> bool:
        """Whether the job at hand has to be given up: asked twice, or its grace is over."""
        if not self.is_asked() or self._noticed_at is None:
            return False
        if self._interruptions.stops > 1:
            return True
        return self._grace is not None and time.monotonic() - self._noticed_at >= self._grace

    def wait(self, seconds: float) -> None:
        """Wait so long, or until a signal comes."""
        self._interruptions.wait(seconds)


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
