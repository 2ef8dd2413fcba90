"""The models: who serves each, what waits for it, and how long that will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from projections.models_view import ANY_MODEL, MODEL_RECORD, ModelRecord, ModelsView
from projections.presence import Presence
from projections.view import ViewDatabase

__all__ = ["ANY_MODEL", "ModelRecord", "ModelStatus", "ModelsReader", "ModelsView"]

_ALL = select(MODEL_RECORD).order_by(MODEL_RECORD.c.model)


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model and the workers that serve it now."""

    record: ModelRecord
    workers: int
    """Workers present that offer it; each of their threads counts."""

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
        """How long the workers present need for what waits; None when nobody can tell."""
        if not self.record.waiting_pixelsteps:
            return timedelta()
        if not self.workers or not self.record.speed:
            return None
        return timedelta(seconds=self.waiting_megapixelsteps / (self.workers * self.record.speed))


class ModelsReader:
    """Answers about models."""

    def __init__(self, database: ViewDatabase, presence: Presence) -> None:
        """Read from the views' database; presence says who serves a model now."""
        self._database = database
        self._presence = presence

    def all(self) -> Sequence[ModelStatus]:
        """Return every model that is asked for, served or was ever used, by name.

        What waits for any model stands under :data:`ANY_MODEL`, which all present workers serve.
        """
        with self._database.reading() as connection:
            rows = connection.execute(_ALL).all()
        records = {row.model: ModelRecord(**row._mapping) for row in rows}
        workers: Counter[str] = Counter()
        for worker in self._presence.present():
            threads = worker.capabilities.threads
            workers[ANY_MODEL] += threads
            workers.update(dict.fromkeys(worker.capabilities.models, threads))
        names = sorted(records.keys() | (workers.keys() - {ANY_MODEL}))
        return [ModelStatus(records.get(name, ModelRecord(name)), workers[name]) for name in names]

    def model(self, name: str) -> ModelStatus | None:
        """Return one model; None when nobody asks for it, serves it or ever used it."""
        return next((model for model in self.all() if model.name == name), None)
