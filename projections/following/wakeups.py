"""Wake-ups: who waits for events hears at once that there are some, and works without that, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from uuid import UUID


class WakeupListener(Protocol):
    """What somebody who waits wants to hear; called by a thread that must not be held up."""

    def changed(self) -> None:
        """Events were committed by some process, this one or another."""

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        """A job made a step; told to whoever listens at this moment and recorded nowhere."""


class Wakeups(Protocol):
    """The port to what carries wake-ups between processes. Any of them may be lost."""

    def listen(self, hearing: WakeupListener) -> Callable[[], None]:
        """Let somebody hear; return what ends that. Never fails and never waits."""

    def changed(self) -> None:
        """Tell that events were committed. Never fails and never waits."""

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        """Tell that a job made a step. Never fails and never waits."""
