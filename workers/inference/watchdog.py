"""A watchdog: ends what hangs beyond its lease, so that its GPU is not lost for good."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog

from domain.ports import Clock

_log = structlog.get_logger(__name__)

GRACE = timedelta(seconds=60)
"""What an engine has to come to an end after its lease, before its process is killed."""


def interrupt_this_process() -> None:
    """Raise Celery's ``SoftTimeLimitExceeded`` in the main thread of a pool process.

    Celery's own limits are fixed when a task starts, before anybody knows its lease; this is the
    signal that they would send. Where nobody handles it, nothing happens.
    """
    if callable(signal.getsignal(signal.SIGUSR1)):
        os.kill(os.getpid(), signal.SIGUSR1)


def kill_this_process() -> None:
    """End this process as an engine that never returns can be ended: from outside of Python."""
    os.kill(os.getpid(), signal.SIGKILL)


class Watchdog:
    """Lets a block take until a moment, and no longer: a soft limit there, a hard one after.

    An engine reports its progress and is stopped there when its lease is over; this is for one
    that reports nothing any more. The process that comes after has a fresh engine.
    """

    def __init__(
        self,
        clock: Clock,
        bark: Callable[[], None] = interrupt_this_process,
        bite: Callable[[], None] = kill_this_process,
        grace: timedelta = GRACE,
    ) -> None:
        """Bark when the time is up, and bite after the grace: by default, kill this process."""
        self._clock = clock
        self._grace = grace
        self._bark = bark
        self._bite = bite

    @contextmanager
    def until(self, moment: Callable[[], datetime]) -> Iterator[None]:
        """Bark if the block is not left by the moment that the function tells, and bite after it.

        The function is asked again when that moment has come: it may have moved on.
        """
        left = threading.Event()
        watcher = threading.Thread(
            target=self._watch, args=(left, moment), name="watchdog", daemon=True
        )
        try:
            watcher.start()
            yield
        finally:
            left.set()
            if watcher.is_alive():
                watcher.join()

    def _watch(self, left: threading.Event, moment: Callable[[], datetime]) -> None:
        if self._is_left_by(left, moment):
            return
        _log.error("engine hangs", why="its lease is over and it does not stop")
        self._bark()
        if not self._is_left_by(left, lambda: moment() + self._grace):
            _log.error("process killed", why="its engine does not stop")
            self._bite()

    def _is_left_by(self, left: threading.Event, moment: Callable[[], datetime]) -> bool:
        while (seconds := (moment() - self._clock.now()).total_seconds()) > 0:
            if left.wait(seconds):
                return True
        return left.is_set()
