"""What each worker declared, made and earned, and how fast it was measured to be."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    bindparam,
    select,
)

from projections.sql.bulk import Bulk
from projections.sql.cached import CachedAnswer
from projections.view import ViewDatabase
from projections.workers.record import LOSSES_WITHIN, WorkerRecord, record_from
from projections.workers.tables import WORKER_RECORD

_records = Bulk(WORKER_RECORD)

SLOWEST_FAST_SPEED = 0.5
"""Megapixelsteps a second that a worker has to exceed not to count as slow: the v2 API's limit."""


_SPEED_SECONDS = 5.0
"""How old a measured speed that decides over slowness can be."""


_ONE = select(WORKER_RECORD).where(WORKER_RECORD.c.worker_id == bindparam("worker"))


_ALL = (
    select(WORKER_RECORD)
    .where(~WORKER_RECORD.c.deleted)
    .order_by(WORKER_RECORD.c.registered_at, WORKER_RECORD.c.worker_id)
)


_SPEED = select(WORKER_RECORD.c.speed).where(WORKER_RECORD.c.worker_id == bindparam("worker"))


class WorkersReader:
    """Answers about workers."""

    def __init__(self, database: ViewDatabase, clock: Callable[[], float] = time.monotonic) -> None:
        """Read from the views' database.

        :param clock: seconds of a clock that never goes back.
        """
        self._database = database
        self._speeds: CachedAnswer[UUID, float | None] = CachedAnswer(
            self._read_speed, seconds=_SPEED_SECONDS, most=10_000, clock=clock
        )

    def worker(self, worker_id: UUID) -> WorkerRecord | None:
        """Return the record of a worker."""
        with self._database.reading() as connection:
            row = connection.execute(_ONE, {"worker": worker_id}).first()
        return None if row is None else record_from(row._asdict())

    def records(self, worker_ids: Collection[UUID]) -> Mapping[UUID, WorkerRecord]:
        """Return the records of these workers; those without one are left out."""
        with self._database.reading() as connection:
            rows = _records.by_key(connection, worker_ids)
        return {row["worker_id"]: record_from(row) for row in rows}

    def all(self) -> Sequence[WorkerRecord]:
        """Return all workers that were not deleted, the first registered first."""
        with self._database.reading() as connection:
            return [record_from(row._asdict()) for row in connection.execute(_ALL)]

    def losing(self, more_than: int, now: datetime) -> Mapping[UUID, int]:
        """Return the remote workers that lost more jobs than this of late, and how many each.

        Those that are in maintenance are left out.
        """
        found = select(WORKER_RECORD.c.worker_id, WORKER_RECORD.c.lost_lately).where(
            WORKER_RECORD.c.losing_since >= now - LOSSES_WITHIN,
            WORKER_RECORD.c.lost_lately > more_than,
            ~WORKER_RECORD.c.in_cluster,
            ~WORKER_RECORD.c.maintenance,
            ~WORKER_RECORD.c.deleted,
        )
        with self._database.reading() as connection:
            return {row.worker_id: row.lost_lately for row in connection.execute(found)}

    def speed_of(self, worker_id: UUID) -> float | None:
        """Return a worker's speed in megapixelsteps a second, up to five seconds old.

        None when it was not measured yet.
        """
        return self._speeds(worker_id)

    def is_slow(self, worker_id: UUID) -> bool:
        """Whether it was measured at half a megapixelstep a second or less."""
        speed = self.speed_of(worker_id)
        return speed is not None and speed <= SLOWEST_FAST_SPEED

    def _read_speed(self, worker_id: UUID) -> float | None:
        with self._database.reading() as connection:
            speed: float | None = connection.execute(_SPEED, {"worker": worker_id}).scalar()
        return speed
