"""Running chores: each at its own times and guarded by itself, so that no failure stops another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from domain.backoff import Backoff
from domain.tracing import where

_log = structlog.get_logger(__name__)

_LONGEST_PAUSE_SECONDS = 30.0
"""The longest backoff of a chore that fails again and again, unless it is not done that often."""


@dataclass(frozen=True, slots=True)
class Chore:
    """Work that time alone brings about."""

    name: str
    """What operators read of it in the log."""
    run: Callable[[], object]
    """Does one round of it; whatever it returns is of no interest, whatever it raises is borne."""
    every_seconds: float
    """From the end of a round to the next one, above 0."""


@dataclass(slots=True, eq=False)
class _Turn:
    """When a chore is to be done next, and how often in a row it failed."""

    chore: Chore
    backoff: Backoff
    due_at: float = 0.0
    failures: int = 0


class ChoreRunner:
    """Does chores in turn, in one thread."""

    def __init__(
        self, chores: Sequence[Chore], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """All of them are due at once.

        :param clock: seconds that only grow.
        """
        self._clock = clock
        self._turns = [
            _Turn(
                chore,
                Backoff(chore.every_seconds, max(chore.every_seconds, _LONGEST_PAUSE_SECONDS)),
            )
            for chore in chores
        ]

    def run_until(self, stop: threading.Event) -> None:
        """Do them until ``stop`` is set; what is being done then is ended first."""
        while not stop.is_set():
            stop.wait(self.run_due(stop))

    def run_due(self, stop: threading.Event | None = None) -> float:
        """Do each chore that is due; return the seconds until the next one is.

        :param stop: when it is set, none is begun any more.
        """
        for turn in self._turns:
            if stop is not None and stop.is_set():
                break
            if turn.due_at <= self._clock():
                self._run(turn)
        earliest = min((turn.due_at for turn in self._turns), default=self._clock())
        return max(0.0, earliest - self._clock())

    def _run(self, turn: _Turn) -> None:
        try:
            turn.chore.run()
        except Exception as error:
            turn.failures += 1
            pause = turn.backoff.next_pause()
            _log.error(
                "chore failed",
                chore=turn.chore.name,
                failures=turn.failures,
                error=type(error).__name__,
                where=where(error),
                again_in_seconds=round(pause, 2),
            )
        else:
            if turn.failures:
                _log.info("chore done again", chore=turn.chore.name, failures=turn.failures)
            turn.failures = 0
            turn.backoff.reset()
            pause = turn.chore.every_seconds
        turn.due_at = self._clock() + pause
