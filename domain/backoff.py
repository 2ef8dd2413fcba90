"""Backoff: the pause between attempts grows with each failure in a row, up to a limit.

Arithmetic only. The caller waits, on an event or a stop flag, so that
a wake-up or a shutdown ends the pause.
"""

from __future__ import annotations

from collections.abc import Callable


class Backoff:
    """The pauses after the failures of one thing, each twice as long as the one before."""

    def __init__(
        self,
        first_seconds: float,
        longest_seconds: float,
        *,
        jitter: float = 0.0,
        random_source: Callable[[], float] | None = None,
    ) -> None:
        """Nothing failed yet.

        :param first_seconds: the pause after the first failure in a row, above 0.
        :param longest_seconds: the limit of every pause; below ``first_seconds`` it is the limit
            of that one, too.
        :param jitter: the largest part of a pause that is cut off at random, 0 to 1, so that what
            failed together does not come back together; it needs a random source.
        :param random_source: a random number from 0 to 1.
        :raises ValueError: when a pause would not be above 0, or jitter has no random source.
        """
        if first_seconds <= 0 or longest_seconds <= 0:
            raise ValueError("a pause is longer than 0 seconds")
        if not 0 <= jitter <= 1 or (jitter and random_source is None):
            raise ValueError("jitter is a part, and comes from a random source")
        self._first_seconds = min(first_seconds, longest_seconds)
        self._longest_seconds = longest_seconds
        self._jitter = jitter
        self._random_source = random_source
        self._next_seconds = self._first_seconds

    def next_pause(self) -> float:
        """Note a failure, and return for how many seconds to wait after it."""
        seconds = self._next_seconds
        self._next_seconds = min(2 * seconds, self._longest_seconds)
        if self._random_source is None:
            return seconds
        return seconds * (1 - self._jitter * self._random_source())

    def reset(self) -> None:
        """Note a success: the next failure is the first in a row."""
        self._next_seconds = self._first_seconds
