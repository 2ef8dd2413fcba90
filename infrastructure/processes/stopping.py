"""Stopping: what a worker process without a supervisor makes of the signals that it gets."""

from __future__ import annotations

import time

from infrastructure.processes.interruptions import Interruptions


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
