"""Since when each worker has had the model that it has in memory."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from threading import Lock
from uuid import UUID

from domain.jobs.model_affinity import LoadedModel

_WORKERS = 1000


class LoadedModels:
    """Remembers the last 1,000 workers that said what they have loaded.

    A worker that is forgotten, with this process or by the others that came since, counts as if it
    had loaded its model just now: it may keep others waiting for that much longer, once.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._of: OrderedDict[UUID, LoadedModel] = OrderedDict()
        self._lock = Lock()

    def seen(self, worker_id: UUID, model: str | None, now: datetime) -> LoadedModel | None:
        """Note what a worker has loaded at this moment; return it with the time it has had it.

        :param model: None where it has none, or does not say.
        """
        with self._lock:
            known = self._of.pop(worker_id, None)
            if model is None:
                return None
            if known is None or known.name != model:
                known = LoadedModel(model, now)
            self._of[worker_id] = known
            if len(self._of) > _WORKERS:
                self._of.popitem(last=False)
            return known
