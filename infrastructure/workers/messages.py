"""Messages to workers, in a table of the ledger's database."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Column, MetaData, String, Table, Text, Uuid, delete, func, insert, select

from api.v2.workers.messages import MESSAGES_A_PAGE, MOST_ACTIVE_MESSAGES, Validity, WorkerMessage
from domain.ports import Clock
from domain.return_codes import Refused
from infrastructure.storage.database import Database
from projections.sql.cached import CachedAnswer
from projections.sql.encoding import Instant

METADATA = MetaData()

WORKER_MESSAGE = Table(
    "worker_message",
    METADATA,
    Column("message_id", Uuid, primary_key=True),
    Column("worker_id", Uuid, index=True),
    Column("author_id", Uuid, nullable=False),
    Column("text", Text, nullable=False),
    Column("origin", String(255), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False, index=True),
)
"""A message; without ``worker_id`` it is for every worker."""

_CACHE_SECONDS = 2.0
_KEPT = timedelta(days=30)
"""For how long an expired message can still be read."""


class MessageTable:
    """Stores messages, and returns each worker its own."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep messages in the ledger's database.

        :param seconds: seconds of a clock that never goes back.
        """
        self._database = database
        self._clock = clock
        self._seconds = seconds
        self._active = self._new_cache()

    def add(self, message: WorkerMessage) -> None:
        """Keep a message; see :class:`api.v2.workers.messages.WorkerMessages`."""
        now = self._clock.now()
        table = WORKER_MESSAGE.c
        counted = (
            select(func.count())
            .select_from(WORKER_MESSAGE)
            .where(table.ends_at > now, table.author_id == message.author_id)
        )
        with self._database.transaction() as connection:
            if connection.execute(counted).scalar_one() >= MOST_ACTIVE_MESSAGES:
                raise Refused(
                    "Forbidden",
                    f"At most {MOST_ACTIVE_MESSAGES} messages of an account are active at a time: "
                    "delete one first.",
                )
            connection.execute(delete(WORKER_MESSAGE).where(table.ends_at <= now - _KEPT))
            connection.execute(
                insert(WORKER_MESSAGE),
                {column.name: getattr(message, column.name) for column in WORKER_MESSAGE.columns},
            )
        self._active = self._new_cache()

    def message(self, message_id: UUID) -> WorkerMessage | None:
        """Return a message, be it expired."""
        found = select(WORKER_MESSAGE).where(WORKER_MESSAGE.c.message_id == message_id)
        with self._database.reading() as connection:
            row = connection.execute(found).first()
        return None if row is None else WorkerMessage(**row._mapping)

    def delete(self, message_id: UUID) -> None:
        """Delete a message; a missing one is no error."""
        with self._database.transaction() as connection:
            connection.execute(
                delete(WORKER_MESSAGE).where(WORKER_MESSAGE.c.message_id == message_id)
            )
        self._active = self._new_cache()

    def page(
        self, *, worker_ids: Sequence[UUID] | None, validity: Validity, page: int
    ) -> Sequence[WorkerMessage]:
        """Return messages, the latest first, 50 a page."""
        table = WORKER_MESSAGE.c
        found = select(WORKER_MESSAGE).order_by(table.created_at.desc(), table.message_id)
        if worker_ids is not None:
            found = found.where(table.worker_id.in_(worker_ids))
        if validity is Validity.ACTIVE:
            found = found.where(table.ends_at > self._clock.now())
        elif validity is Validity.EXPIRED:
            found = found.where(table.ends_at <= self._clock.now())
        found = found.limit(MESSAGES_A_PAGE).offset((page - 1) * MESSAGES_A_PAGE)
        with self._database.reading() as connection:
            return [WorkerMessage(**row._mapping) for row in connection.execute(found)]

    def for_worker(self, worker_id: UUID) -> Sequence[WorkerMessage]:
        """Return the active messages of a worker, up to two seconds late, the oldest first."""
        active = self._active(None)
        if not active:
            return ()
        now = self._clock.now()
        mine = [*active.get(None, ()), *active.get(worker_id, ())]
        return sorted(
            (message for message in mine if message.ends_at > now),
            key=lambda message: message.created_at,
        )

    def _new_cache(self) -> CachedAnswer[None, Mapping[UUID | None, Sequence[WorkerMessage]]]:
        return CachedAnswer(self._read, seconds=_CACHE_SECONDS, clock=self._seconds)

    def _read(self, _key: None) -> Mapping[UUID | None, Sequence[WorkerMessage]]:
        active = select(WORKER_MESSAGE).where(WORKER_MESSAGE.c.ends_at > self._clock.now())
        by_worker: dict[UUID | None, list[WorkerMessage]] = defaultdict(list)
        with self._database.reading() as connection:
            for row in connection.execute(active):
                by_worker[row.worker_id].append(WorkerMessage(**row._mapping))
        return dict(by_worker)
