"""Wake-ups: who waits for events learns at once that there are some, and works without, too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol
from uuid import UUID


class WakeupListener(Protocol):
    """A listener; called by a thread that must not be held up."""

    def changed(self) -> None:
        """Events were committed by some process, this one or another."""

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        """A job made a step; sent to the current listeners and recorded nowhere."""


class Wakeups(Protocol):
    """The port to what carries wake-ups between processes. Any of them may be lost."""

    def listen(self, hearing: WakeupListener) -> Callable[[], None]:
        """Add a listener; return a function that removes it. Never fails and never waits."""

    def changed(self) -> None:
        """Announce that events were committed. Never fails and never waits."""

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        """Announce that a job made a step. Never fails and never waits."""


class WakeupSignal:
    """A listener that ends the pause of one follower; any thread may call it."""

    def __init__(self) -> None:
        """No wake-up came yet."""
        self._came = threading.Event()

    def changed(self) -> None:
        """There may be events."""
        self._came.set()

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        """A step that stands in no log is none of a follower's business."""

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until a wake-up comes; return whether one did."""
        return self._came.wait(seconds)

    def clear(self) -> None:
        """Forget the wake-ups so far: the look that comes now sees what they meant."""
        self._came.clear()


@contextmanager
def listening(wakeups: Wakeups) -> Iterator[WakeupSignal]:
    """Receive wake-ups until the end of the block."""
    signal = WakeupSignal()
    end = wakeups.listen(signal)
    try:
        yield signal
    finally:
        end()
