"""Time limits for the engine of a worker process that is outside a Celery pool, unsupervised."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from types import FrameType
from typing import NoReturn

from celery.exceptions import SoftTimeLimitExceeded

from workers.inference.lease_watch import Watchdog
from workers.inference.workplace import Shutdown


def limited(
    watchdog: Watchdog,
) -> Callable[[Callable[[], datetime]], AbstractContextManager[None]]:
    """Return a time limit: it interrupts a block, and calls the watchdog's end a minute later.

    The interruption is Celery's ``SoftTimeLimitExceeded``, raised wherever the main thread is. The
    block has to run in the main thread.
    """

    @contextmanager
    def until(moment: Callable[[], datetime]) -> Iterator[None]:
        before = signal.signal(signal.SIGUSR1, _interrupt)
        try:
            with watchdog.until(moment):
                yield
        finally:
            signal.signal(signal.SIGUSR1, before)

    return until


def restart_process(shutdown: Shutdown) -> None:
    """Replace this process by a new one with the same command line, whose memory is empty.

    This ends an engine call that never returns. A process that should stop is killed instead.
    """
    if not shutdown.is_requested():
        with suppress(OSError):
            os.execv(sys.executable, sys.orig_argv)
    os.kill(os.getpid(), signal.SIGKILL)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SoftTimeLimitExceeded
