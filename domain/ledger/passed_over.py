"""What workers were not given because of words in the prompts, so as not to open it every time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from threading import Lock
from uuid import UUID

_WORKERS = 1000
_REQUESTS = 200

Words = tuple[str, ...]


class SkippedRequests:
    """Remembers, for each worker and its present blacklist, the last 200 requests.

    No decision rests on it: what is forgotten is opened, and passed over, once more.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._of: OrderedDict[tuple[UUID, Words], OrderedDict[UUID, None]] = OrderedDict()
        self._lock = Lock()

    def by(self, worker_id: UUID, blacklist: Words) -> Collection[UUID]:
        """Return what this worker was not given."""
        if not blacklist:
            return ()
        with self._lock:
            return tuple(self._of.get((worker_id, blacklist), ()))

    def add(self, worker_id: UUID, blacklist: Words, request_id: UUID) -> None:
        """Note that it was not given this request either."""
        with self._lock:
            requests = self._of.setdefault((worker_id, blacklist), OrderedDict())
            self._of.move_to_end((worker_id, blacklist))
            requests[request_id] = None
            if len(requests) > _REQUESTS:
                requests.popitem(last=False)
            if len(self._of) > _WORKERS:
                self._of.popitem(last=False)
