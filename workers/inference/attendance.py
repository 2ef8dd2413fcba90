"""Attendance: a worker that waits for the bell still shows that it is there."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

_log = structlog.get_logger(__name__)

EVERY_SECONDS = 60.0
"""How often an idle worker shows itself; whoever was not seen for five minutes counts as gone."""


def keep_showing(show: Callable[[], None], every_seconds: float = EVERY_SECONDS) -> threading.Event:
    """Call ``show`` at once and then every so often, in a thread of its own.

    What it raises is logged, and it is called again all the same.

    :returns: the event that ends it.
    """
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            try:
                show()
            except Exception as error:
                _log.warning("presence not noted", error=type(error).__name__)
            stop.wait(every_seconds)

    threading.Thread(target=run, name="attendance", daemon=True).start()
    return stop
