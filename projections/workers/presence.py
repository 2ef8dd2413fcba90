"""Presence: which workers asked for work within five minutes; not history, so no event."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Column, MetaData, Table, Text, Uuid, bindparam, func, select

from domain.ports import Clock
from domain.workers.matching import Capabilities
from projections.sql.cached import CachedAnswer
from projections.sql.encoding import Instant, capabilities_from_json, capabilities_to_json
from projections.sql.rows import replace_row
from projections.view import ViewDatabase

METADATA = MetaData()

WORKER_PRESENCE = Table(
    "worker_presence",
    METADATA,
    Column("worker_id", Uuid, primary_key=True),
    Column("capabilities", Text, nullable=False),
    Column("seen_at", Instant, nullable=False, index=True),
    Column("address", Text, nullable=False),
)
"""When a worker last asked for work, what it declared then, and a digest of where it asked from."""

_WRITE_EVERY = timedelta(seconds=5)
_PRESENT = timedelta(minutes=5)
_CACHED_SECONDS = 1.0

_SINCE = (
    select(WORKER_PRESENCE)
    .where(WORKER_PRESENCE.c.seen_at >= bindparam("since"))
    .order_by(WORKER_PRESENCE.c.worker_id)
)


@dataclass(frozen=True, slots=True)
class PresentWorker:
    """A worker that asked for work within five minutes."""

    worker_id: UUID
    capabilities: Capabilities
    seen_at: datetime
    """When it last asked, up to five seconds too early."""
    address: str = ""
    """A digest of the network address that it asked from; empty for in-cluster workers."""


class Presence:
    """Keeps and reads which workers are present."""

    def __init__(
        self,
        database: ViewDatabase,
        clock: Clock,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep presence in the views' database.

        :param seconds: seconds of a clock that never goes back.
        """
        self._database = database
        self._clock = clock
        self._written: dict[UUID, tuple[datetime, Capabilities]] = {}
        self._seconds = seconds
        self._present = self._new_cache()

    def seen(self, worker_id: UUID, capabilities: Capabilities, address: str = "") -> None:
        """Note that a worker is there: one write in five seconds, or when it declares anew.

        :param address: a digest of its network address, never the address itself.
        """
        now = self._clock.now()
        written = self._written.get(worker_id)
        if written and now - written[0] < _WRITE_EVERY and written[1] == capabilities:
            return
        self._written[worker_id] = (now, capabilities)
        row = {
            "worker_id": worker_id,
            "capabilities": capabilities_to_json(capabilities),
            "seen_at": now,
            "address": address,
        }
        with self._database.transaction() as connection:
            replace_row(connection, WORKER_PRESENCE, row)
        if written is None:
            # A worker that has just come is present at once for this process.
            self._present = self._new_cache()

    def present(self, within: timedelta = _PRESENT) -> Sequence[PresentWorker]:
        """Return the workers that asked for work within this time, as of up to a second ago."""
        return self._present(within)

    def _new_cache(self) -> CachedAnswer[timedelta, Sequence[PresentWorker]]:
        return CachedAnswer(self._read_present, seconds=_CACHED_SECONDS, clock=self._seconds)

    def count_at(self, address: str, within: timedelta = _PRESENT) -> int:
        """Return how many workers asked from an address, by its digest, within this time."""
        since = self._clock.now() - within
        counted = (
            select(func.count())
            .select_from(WORKER_PRESENCE)
            .where(WORKER_PRESENCE.c.seen_at >= since, WORKER_PRESENCE.c.address == address)
        )
        with self._database.reading() as connection:
            return connection.execute(counted).scalar_one()

    def _read_present(self, within: timedelta) -> Sequence[PresentWorker]:
        since = self._clock.now() - within
        with self._database.reading() as connection:
            rows = connection.execute(_SINCE, {"since": since}).all()
        return [
            PresentWorker(
                row.worker_id,
                capabilities_from_json(row.capabilities),
                row.seen_at,
                row.address,
            )
            for row in rows
        ]
