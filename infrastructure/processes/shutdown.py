"""Requests to stop, as the processes of Hoard get them: by signal, or through a pipe.

The first request means: take no more work. The second means: abandon what is under way.
"""

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
from abc import ABC, abstractmethod
from types import FrameType
from typing import Any, Self

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopSignals:
    """Counts the signals that stop a process, and waits for signals; for the main thread only."""

    def __init__(self) -> None:
        """Change nothing yet; use it as a context manager."""
        self.stops = 0
        """How many such signals came."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Install the handlers."""
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in _STOP_SIGNALS:
            self._before[number] = signal.signal(number, self._count)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _ignore)
        return self

    def __exit__(self, *_error: object) -> None:
        """Restore the handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float) -> None:
        """Wait for a signal, SIGCHLD among them, or for that many seconds."""
        if select.select([self._reader], [], [], max(0.0, seconds))[0]:
            with contextlib.suppress(BlockingIOError):
                while self._reader.recv(4096):
                    continue

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.stops += 1


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: a signal without a handler would not end a wait."""


class _Shutdown(ABC):
    """When a worker stops taking jobs, and when it abandons the job under way."""

    def __init__(self, grace_seconds: float | None) -> None:
        self._grace = grace_seconds
        self._first_seen_at: float | None = None

    @abstractmethod
    def _requests(self) -> int:
        """Return how many stops were requested of this process."""

    def is_requested(self) -> bool:
        """Whether no further job should be started."""
        return self._requests_seen() > 0

    def is_due(self) -> bool:
        """Whether to abandon the job under way: after a second request, or after the grace time."""
        requests = self._requests_seen()
        if requests == 0 or self._first_seen_at is None:
            return False
        if requests > 1:
            return True
        return self._grace is not None and time.monotonic() - self._first_seen_at >= self._grace

    def _requests_seen(self) -> int:
        requests = self._requests()
        if requests and self._first_seen_at is None:
            self._first_seen_at = time.monotonic()
        return requests


class SignalShutdown(_Shutdown):
    """The shutdown of a worker process without a supervisor: its own signals are the requests."""

    def __init__(self, signals: StopSignals, grace_seconds: float | None) -> None:
        """Set the seconds that the job under way may still take; None: as long as its lease."""
        super().__init__(grace_seconds)
        self._signals = signals

    def wait(self, seconds: float) -> None:
        """Wait so long, or until a signal comes."""
        self._signals.wait(seconds)

    def _requests(self) -> int:
        return self._signals.stops


class ShutdownPipe(_Shutdown):
    """The shutdown of a Celery worker: its main process notifies the pool process, through a pipe.

    The pipe is made before the fork; each byte in it is one request. Writing is all that happens
    in a signal handler, and a pool process that is started later sees the bytes, too.
    """

    def __init__(self, grace_seconds: float | None) -> None:
        """Set the seconds that the job under way may still take; None: as long as its lease."""
        super().__init__(grace_seconds)
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def ask(self) -> None:
        """Request every process that shares the pipe to stop."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"x")

    def _requests(self) -> int:
        waiting = fcntl.ioctl(self._reader, termios.FIONREAD, struct.pack("i", 0))
        requests: int = struct.unpack("i", waiting)[0]
        return requests
