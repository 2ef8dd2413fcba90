"""What workers were not given because of words in the prompts, so as not to open it every time."""

from __future__ import annotations

from collections.abc import Collection
from threading import Lock
from uuid import UUID

from cachetools import FIFOCache, LRUCache

_WORKERS = 1000
_REQUESTS = 200

Words = tuple[str, ...]


class RememberedSkips:
    """Remembers, for each of 1,000 workers and its blacklist, the last 200 requests; thread-safe.

    See :class:`domain.ledger.ports.SkippedRequests`.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._of: LRUCache[tuple[UUID, Words], FIFOCache[UUID, None]] = LRUCache(_WORKERS)
        self._lock = Lock()

    def by(self, worker_id: UUID, blacklist: Words) -> Collection[UUID]:
        """Return what this worker was not given, with its present blacklist."""
        if not blacklist:
            return ()
        with self._lock:
            return tuple(self._of.get((worker_id, blacklist), ()))

    def add(self, worker_id: UUID, blacklist: Words, request_id: UUID) -> None:
        """Note that it was not given this request either."""
        with self._lock:
            requests = self._of.get((worker_id, blacklist))
            if requests is None:
                requests = self._of[worker_id, blacklist] = FIFOCache(_REQUESTS)
            requests[request_id] = None
