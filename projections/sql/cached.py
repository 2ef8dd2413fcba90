"""Cached answers: a second old at most, so that many equal questions cost as much as one."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")

_SHARE_OF_TIME = 20
"""A costly answer is kept this many times as long as it took: computing it stays below 5 %."""


class CachedAnswer(Generic[Key, Answer]):
    """Computes the answer for a key once and repeats it for a while; thread-safe.

    While one thread computes it anew, others get the old answer if there is one.
    """

    def __init__(
        self,
        compute: Callable[[Key], Answer],
        *,
        seconds: float,
        most: int = 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Cache what ``compute`` returns.

        :param seconds: how long an answer is good for, at least.
        :param most: how many keys are kept.
        :param clock: seconds of a clock that never goes back.
        """
        self._compute = compute
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._answers: OrderedDict[Key, tuple[float, Answer]] = OrderedDict()
        self._guard = threading.Lock()
        self._computing = threading.Lock()

    def __call__(self, key: Key) -> Answer:
        """Return the answer for a key, cached or new."""
        known = self._answers.get(key)
        if known is not None and self._clock() < known[0]:
            return known[1]
        if not self._computing.acquire(blocking=known is None):
            assert known is not None
            return known[1]
        try:
            known = self._answers.get(key)
            if known is not None and self._clock() < known[0]:
                return known[1]
            return self._compute_anew(key)
        finally:
            self._computing.release()

    def _compute_anew(self, key: Key) -> Answer:
        start = self._clock()
        answer = self._compute(key)
        end = self._clock()
        good_until = end + max(self._seconds, _SHARE_OF_TIME * (end - start))
        with self._guard:
            self._answers[key] = (good_until, answer)
            self._answers.move_to_end(key)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
        return answer
