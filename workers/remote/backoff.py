"""How long a remote worker waits before it asks its server again."""

from __future__ import annotations

import random
from collections.abc import Callable

from domain.backoff import Backoff

_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0
_IDLE_SECONDS = 2.0
_JITTER = 0.5


class ServerBackoff:
    """Doubles the wait with each failure in a row, from one second to a minute.

    Each wait is cut by a random part of up to a half: workers that lost their server together
    must not come back together.
    """

    def __init__(
        self, wait: Callable[[float], None], random_source: Callable[[], float] = random.random
    ) -> None:
        """Wait with this function.

        :param wait: waits a number of seconds, or shorter when there is something to be done.
        :param random_source: a random number from 0 to 1.
        """
        self._wait = wait
        self._failing = Backoff(
            _FIRST_SECONDS, _LONGEST_SECONDS, jitter=_JITTER, random_source=random_source
        )
        self._idle = Backoff(
            _IDLE_SECONDS, _IDLE_SECONDS, jitter=_JITTER, random_source=random_source
        )

    def after_failure(self, at_least: float = 0.0) -> None:
        """Wait, longer than after the failure before.

        :param at_least: seconds that the server asked for.
        """
        self._wait(max(at_least, self._failing.next_pause()))

    def while_idle(self) -> None:
        """Wait because there is no work; the server is well."""
        self.after_success()
        self._wait(self._idle.next_pause())

    def after_success(self) -> None:
        """Forget the failures; wait for nothing."""
        self._failing.reset()
