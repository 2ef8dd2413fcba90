"""Look-ups of metadata that failed, and how long they are left alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cachetools import TTLCache

from workers.models.lora_versions import MetadataAway, MetadataUnusable

PAUSE_SECONDS = 30.0

_MANY = 8
"""Subjects that fail one after another, with no answer in between: the source is broken."""
_MOST_REMEMBERED = 10_000


class LookupPauses:
    """Pauses look-ups: of one subject when its own metadata fails, of all when the source does.

    So what one client names never keeps another one's LoRA from being looked up. Any thread may
    use it.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """Pause nothing yet.

        :param now: seconds of a clock that never goes back.
        """
        self._now = now
        self._guard = threading.Lock()
        self._paused: TTLCache[str, None] = TTLCache(_MOST_REMEMBERED, PAUSE_SECONDS, timer=now)
        self._failed_in_a_row: set[str] = set()
        self._all_until = float("-inf")

    def is_paused(self, subject: str) -> bool:
        """Whether a subject is not to be looked up now."""
        with self._guard:
            return self._now() < self._all_until or subject in self._paused

    @contextmanager
    def noting(self, subject: str) -> Iterator[None]:
        """Look a subject up in this block; what it raises is passed on, and pauses."""
        try:
            yield
        except MetadataUnusable:
            with self._guard:
                self._paused[subject] = None
                self._failed_in_a_row.add(subject)
                if len(self._failed_in_a_row) >= _MANY:
                    self._pause_all()
            raise
        except MetadataAway:
            with self._guard:
                self._pause_all()
            raise
        with self._guard:
            self._failed_in_a_row.clear()

    def _pause_all(self) -> None:
        self._all_until = self._now() + PAUSE_SECONDS
        self._failed_in_a_row.clear()
