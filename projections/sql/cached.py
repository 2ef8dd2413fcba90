"""Answers that may be a second old, so that many who ask the same cost as much as one."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")

_SHARE_OF_TIME = 20
"""A dear answer is kept this many times as long as it took, so finding it out stays below 5 %."""


class CachedAnswer(Generic[Key, Answer]):
    """Asks once for each key and repeats the answer for a while; thread-safe.

    While one thread asks anew, others are given the old answer if there is one.
    """

    def __init__(
        self,
        ask: Callable[[Key], Answer],
        *,
        seconds: float,
        most: int = 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember what ``ask`` answers.

        :param seconds: how long an answer is good for, at least.
        :param most: how many keys are remembered.
        :param clock: seconds of a clock that never goes back.
        """
        self._ask = ask
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._answers: OrderedDict[Key, tuple[float, Answer]] = OrderedDict()
        self._guard = threading.Lock()
        self._asking = threading.Lock()

    def __call__(self, key: Key) -> Answer:
        """Return the answer for a key, remembered or new."""
        known = self._answers.get(key)
        if known is not None and self._clock() < known[0]:
            return known[1]
        if not self._asking.acquire(blocking=known is None):
            assert known is not None
            return known[1]
        try:
            known = self._answers.get(key)
            if known is not None and self._clock() < known[0]:
                return known[1]
            return self._ask_anew(key)
        finally:
            self._asking.release()

    def _ask_anew(self, key: Key) -> Answer:
        start = self._clock()
        answer = self._ask(key)
        end = self._clock()
        good_until = end + max(self._seconds, _SHARE_OF_TIME * (end - start))
        with self._guard:
            self._answers[key] = (good_until, answer)
            self._answers.move_to_end(key)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
        return answer
