"""The watchdog's two limits in a process that is no Celery pool's, and that nobody starts again."""

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
    """Return what interrupts a block when its time is up, and kills a minute later.

    The interruption is Celery's ``SoftTimeLimitExceeded``, raised wherever the main thread is. The
    block has to be one of the main thread.
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


def start_anew(shutdown: Shutdown) -> None:
    """Turn this process into a fresh one of the same command, with nothing of its memory left.

    So ends an engine that never returns. A process that is to end ends here, by SIGKILL.
    """
    if not shutdown.is_asked():
        with suppress(OSError):
            os.execv(sys.executable, sys.orig_argv)
    os.kill(os.getpid(), signal.SIGKILL)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SoftTimeLimitExceeded
