"""A watchdog: ends a process whose engine hangs, so that its GPU is not lost for good."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog

from domain.ports import Clock

_log = structlog.get_logger(__name__)


def kill_this_process() -> None:
    """End this process as an engine that never returns can be ended: from outside of Python."""
    os.kill(os.getpid(), signal.SIGKILL)


class Watchdog:
    """Lets a block take until a moment, and no longer.

    An engine reports its progress and is stopped there when its lease is over; this is for one
    that reports nothing any more. The process that comes after has a fresh engine.
    """

    def __init__(self, clock: Clock, bite: Callable[[], None] = kill_this_process) -> None:
        """Bite when the time is up, by default by killing this process."""
        self._clock = clock
        self._bite = bite

    @contextmanager
    def until(self, moment: datetime) -> Iterator[None]:
        """Bite if the block is not left by ``moment``."""
        left = threading.Event()
        seconds = max(0.0, (moment - self._clock.now()).total_seconds())
        watcher = threading.Thread(
            target=self._watch, args=(left, seconds), name="watchdog", daemon=True
        )
        watcher.start()
        try:
            yield
        finally:
            left.set()
            watcher.join()

    def _watch(self, left: threading.Event, seconds: float) -> None:
        if not left.wait(seconds):
            _log.error("engine hangs", seconds=round(seconds))
            self._bite()
