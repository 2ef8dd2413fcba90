"""The models: who serves each, what waits for it, and how long that will take."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import or_, select

from projections.models.record import ModelRecord
from projections.models.tables import ANY_MODEL, MODEL_RECORD
from projections.sql.cached import CachedAnswer
from projections.view import ViewDatabase
from projections.workers.presence import Presence, PresentWorker
from projections.workers.tables import WORKER_RECORD

_ALL = select(MODEL_RECORD).order_by(MODEL_RECORD.c.model)
_OUT_OF_SERVICE = select(WORKER_RECORD.c.worker_id).where(
    or_(WORKER_RECORD.c.maintenance, WORKER_RECORD.c.paused)
)
_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model and the workers that serve it now."""

    record: ModelRecord
    workers: int = 0
    """Workers present and in service that offer it; each of their threads counts."""

    @property
    def name(self) -> str:
        """The model's name."""
        return self.record.model

    @property
    def waiting_megapixelsteps(self) -> float:
        """Denoiser passes times millions of pixels of all images that wait for it."""
        return self.record.waiting_pixelsteps / 1_000_000

    @property
    def eta(self) -> timedelta | None:
        """How long the workers present need for what waits; None when it is unknown."""
        if not self.record.waiting_pixelsteps:
            return timedelta()
        if not self.workers or not self.record.speed:
            return None
        return timedelta(seconds=self.waiting_megapixelsteps / (self.workers * self.record.speed))


class ModelsReader:
    """Answers about models."""

    def __init__(
        self,
        database: ViewDatabase,
        presence: Presence,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read from the views' database; presence says who serves a model now.

        :param clock: seconds of a clock that never goes back.
        """
        self._database = database
        self._presence = presence
        self._listed: CachedAnswer[None, Sequence[ModelStatus]] = CachedAnswer(
            lambda _: self.all(), seconds=_SECONDS, clock=clock
        )
        self._offered: tuple[Sequence[PresentWorker], frozenset[str]] = ((), frozenset())

    def listed(self) -> Sequence[ModelStatus]:
        """Return what :meth:`all` does, as of up to two seconds ago."""
        return self._listed(None)

    def offered(self) -> frozenset[str]:
        """Return the names of all models that workers offer, as of up to a second ago."""
        # Presence repeats the very same list for as long as it is fresh.
        present = self._presence.present()
        known, offered = self._offered
        if known is not present:
            offered = frozenset().union(*(worker.capabilities.models for worker in present))
            self._offered = (present, offered)
        return offered

    def all(self) -> Sequence[ModelStatus]:
        """Return every model that is asked for, served or was ever used, by name.

        What waits for any model stands under :data:`ANY_MODEL`, which all present workers serve.
        """
        with self._database.reading() as connection:
            rows = connection.execute(_ALL).all()
            out_of_service = set(connection.scalars(_OUT_OF_SERVICE))
        records = {row.model: ModelRecord(**row._mapping) for row in rows}
        workers: Counter[str] = Counter()
        for worker in self._presence.present():
            if worker.worker_id in out_of_service:
                continue
            threads = worker.capabilities.threads
            workers[ANY_MODEL] += threads
            workers.update(dict.fromkeys(worker.capabilities.models, threads))
        names = sorted(records.keys() | (workers.keys() - {ANY_MODEL}))
        return [ModelStatus(records.get(name, ModelRecord(name)), workers[name]) for name in names]

    def model(self, name: str) -> ModelStatus | None:
        """Return one model; None when it is not asked for, not served and was never used."""
        return next((model for model in self.all() if model.name == name), None)
