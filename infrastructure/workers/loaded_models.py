"""Since when each worker has had the model that it has in memory."""

from __future__ import annotations

from datetime import datetime
from threading import Lock
from uuid import UUID

from cachetools import LRUCache

from domain.jobs.model_affinity import LoadedModel

_WORKERS = 1000


class RememberedModels:
    """Remembers the last 1,000 workers that said what they have loaded; thread-safe.

    See :class:`domain.ledger.ports.LoadedModels`.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._of: LRUCache[UUID, LoadedModel] = LRUCache(_WORKERS)
        self._lock = Lock()

    def seen(self, worker_id: UUID, model: str | None, now: datetime) -> LoadedModel | None:
        """Note what a worker has loaded at this moment; return it with the time it has had it.

        :param model: None where it has none, or does not say.
        """
        with self._lock:
            if model is None:
                self._of.pop(worker_id, None)
                return None
            known = self._of.get(worker_id)
            if known is None or known.name != model:
                known = self._of[worker_id] = LoadedModel(model, now)
            return known
