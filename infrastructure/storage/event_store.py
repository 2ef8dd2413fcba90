"""Our own recorder under the ``eventsourcing`` library's port (why: ``docs/decisions/0002``).

**Positions.** The log is one total order that followers read without ever skipping an event.

On SQLite a position is the row id: there is one writer, so commit order is id order.

On PostgreSQL transactions commit in parallel and a serial number would be given out in another
order than they commit. A position is made of the transaction's own id instead, ``(xid + base) <<
16`` plus the event's ordinal in its transaction, and followers stop below the *horizon*, the oldest
transaction that was still open when their statement began: everything below is committed or gone.
No table is locked and no counter is shared.

Two things follow. A long write transaction *anywhere in the cluster*, of another database or
program too, holds followers back until it ends; it never makes them skip. And a transaction may
get its id early (``SELECT … FOR UPDATE`` suffices) and append to a stream that a younger one has
continued meanwhile; its position would then contradict the stream, so such a save is refused with
``IntegrityError`` like any lost race and succeeds in a new transaction.

``base`` is 0 until a dump is restored into a cluster whose transaction ids are behind the log; see
:mod:`infrastructure.storage.schema`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    Notification,
    OperationalError,
    StoredEvent,
    Subscription,
)
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from infrastructure.storage.database import Database
from infrastructure.storage.event_sql import (
    MAX_ORDINALS,
    MAX_POSITION,
    EventSql,
    PostgresSql,
    SqliteSql,
)
from infrastructure.storage.polling_subscription import PollingSubscription

_MAX_VERSION = (1 << 31) - 1
_ORDINALS = "event ordinals"
_ROWS_AT_ONCE = 50
"""Most rows of one statement on PostgreSQL; each number of rows is a statement to prepare."""

InlineView = Callable[[Connection, Sequence[Notification]], None]
"""Changes views in the transaction that appends the events."""


class TooManyEvents(ValueError):
    """One transaction holds at most 65,536 events on PostgreSQL; split the save."""


class EventRecorder(ApplicationRecorder):
    """Appends events to the log and reads them back, on SQLite and on PostgreSQL.

    :param inline: called with each save's events, in the same transaction; what it raises undoes
        the save.
    """

    def __init__(self, database: Database, inline: InlineView | None = None) -> None:
        self._database = database
        self._inline = inline
        self._sql: EventSql = SqliteSql() if database.is_sqlite else PostgresSql()
        self._page = lru_cache(maxsize=64)(self._sql.page)
        self._insert = lru_cache(maxsize=1024)(PostgresSql().insert)
        self._streams = {way: self._sql.stream(descending=way) for way in (False, True)}

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        """Append events, all or none, and return their positions in order.

        Joins this thread's open :meth:`Database.transaction`, or makes one.

        :raises IntegrityError: when a stream already has an event of one of these versions, or
            (PostgreSQL) this transaction is older than a stream's last event, or was chosen to
            break a deadlock. Try again in a new transaction, with the stream read anew.
        :raises TooManyEvents: above 65,536 events in one transaction on PostgreSQL.
        :raises TypeError: for keyword arguments, such as a tracking record, which belongs to views.
        """
        # The library always names its tracking record, and leaves it empty for plain saves.
        if extra := sorted(name for name, value in kwargs.items() if value is not None):
            raise TypeError(f"the event log records nothing else: {', '.join(extra)}")
        if not stored_events:
            return []
        with self._database.transaction() as connection:
            if self._database.is_sqlite:
                positions = self._insert_sqlite(connection, stored_events)
            else:
                positions = self._insert_postgres(connection, stored_events)
            if self._inline is not None:
                self._inline(
                    connection,
                    [
                        Notification(
                            originator_id=event.originator_id,
                            originator_version=event.originator_version,
                            topic=event.topic,
                            state=event.state,
                            id=position,
                        )
                        for event, position in zip(stored_events, positions, strict=True)
                    ],
                )
        return positions

    def _insert_sqlite(
        self, connection: Connection, events: Sequence[StoredEvent]
    ) -> Sequence[int]:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        cursor = driver.cursor()
        positions: list[int] = []
        try:
            for event in events:
                cursor.execute(
                    SqliteSql.insert,
                    (
                        _uuid(event.originator_id).hex,
                        event.originator_version,
                        event.topic,
                        event.state,
                    ),
                )
                assert cursor.lastrowid is not None
                positions.append(cursor.lastrowid)
        except sqlite3.IntegrityError as error:
            raise IntegrityError("a stream was changed by another transaction") from error
        except sqlite3.Error as error:
            raise OperationalError("the events could not be appended") from error
        finally:
            cursor.close()
        return positions

    def _insert_postgres(
        self, connection: Connection, events: Sequence[StoredEvent]
    ) -> Sequence[int]:
        notes = self._database.transaction_notes
        ordinal: int = notes.get(_ORDINALS, 0)
        if ordinal + len(events) > MAX_ORDINALS:
            raise TooManyEvents(
                f"{ordinal + len(events)} events in one transaction, at most {MAX_ORDINALS}"
            )
        ids = [_uuid(event.originator_id) for event in events]
        continued: dict[UUID, int] = {}
        for stream, event in zip(ids, events, strict=True):
            continued.setdefault(stream, event.originator_version - 1)
        before = [pair for pair in continued.items() if pair[1] > 0]
        # By stream, not in the order of the save: two saves that share streams then wait for each
        # other in one order and never deadlock.
        order = sorted(
            range(len(events)), key=lambda number: (ids[number], events[number].originator_version)
        )
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        positions: list[int] = []
        try:
            for start in range(0, len(order), _ROWS_AT_ONCE):
                numbers = order[start : start + _ROWS_AT_ONCE]
                parameters: list[Any] = [ordinal]
                for number in numbers:
                    event = events[number]
                    parameters += (
                        ids[number],
                        event.originator_version,
                        event.topic,
                        event.state,
                        number,
                    )
                for pair in before:
                    parameters += pair
                statement = self._insert(events=len(numbers), continued=len(before))
                before = []
                rows = driver.cursor(binary=True).execute(statement, parameters).fetchall()
                if not rows:
                    raise IntegrityError("this transaction is older than a stream's last event")
                positions += [row[0] for row in rows]
        except (
            psycopg.errors.UniqueViolation,
            psycopg.errors.DeadlockDetected,
            psycopg.errors.SerializationFailure,
        ) as error:
            raise IntegrityError("a stream was changed by another transaction") from error
        except psycopg.Error as error:
            raise OperationalError("the events could not be appended") from error
        notes[_ORDINALS] = ordinal + len(events)
        return sorted(positions)

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """One stream's events, by version; inside a transaction its own are among them."""
        stream = _uuid(originator_id)
        rows = self._select(
            self._streams[desc],
            (
                self._sql.stored_id(stream),
                -1 if gt is None else _clamped(gt, -1, _MAX_VERSION),
                _MAX_VERSION if lte is None else _clamped(lte, -1, _MAX_VERSION),
                _MAX_VERSION if limit is None else _clamped(limit, 0, _MAX_VERSION),
            ),
        )
        return [
            StoredEvent(
                originator_id=stream,
                originator_version=row[2],
                topic=row[3],
                state=row[4],
            )
            for row in rows
        ]

    def select_tails(self, tails: Mapping[UUID, int]) -> Sequence[Notification]:
        """Events of several streams, each above its given version, in log order.

        One statement, and without the horizon: what this returns is committed, but a follower may
        not have been allowed to see it yet.
        """
        if not tails:
            return []
        if len(tails) == 1:
            # By far the most frequent case: a request without jobs yet, or whose jobs are over.
            ((stream, version),) = tails.items()
            parameters = (self._sql.stored_id(stream), version, _MAX_VERSION, _MAX_VERSION)
            return self._notifications(self._streams[False], parameters)
        return self._notifications(self._sql.tails, self._sql.tails_parameters(tails))

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """The final part of the log from ``start`` up to and including ``stop``, in order.

        :param limit: most events returned, at least 1, with no upper bound.
        """
        first = 0 if start is None else start if inclusive_of_start else start + 1
        last = MAX_POSITION if stop is None else stop
        return self._log(first, last, limit, topics, final_only=True)

    def select_recorded(self, start: int, limit: int) -> Sequence[Notification]:
        """The log after ``start``, horizon or not: all that is committed now.

        For rebuilding inline views while writers are locked out. Other callers would skip events
        that commit late.
        """
        return self._log(start + 1, MAX_POSITION, limit, (), final_only=False)

    def horizon(self) -> int:
        """The position below which the log is final: nothing will ever be added there."""
        value: int = self._select(self._sql.horizon, ())[0][0]
        return value

    def max_notification_id(self) -> int | None:
        """The position of the last final event, or None when there is none."""
        value: int | None = self._select(self._sql.last_final, ())[0][0]
        return value

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """An endless iterator over the final log after ``gt``; it asks every 50 ms."""
        return PollingSubscription(self, gt=gt, topics=topics)

    def _log(
        self, first: int, last: int, limit: int, topics: Sequence[str], *, final_only: bool
    ) -> Sequence[Notification]:
        if limit < 1:
            raise ValueError("a limit is at least 1")
        first, last, limit = (_clamped(number, 0, MAX_POSITION) for number in (first, last, limit))
        return self._notifications(
            self._page(final_only=final_only, topics=len(topics)),
            self._sql.page_parameters(first, last, topics, limit),
        )

    def _notifications(self, statement: str, parameters: tuple[Any, ...]) -> Sequence[Notification]:
        loaded_id = self._sql.loaded_id
        return [
            Notification(
                id=row[0],
                originator_id=loaded_id(row[1]),
                originator_version=row[2],
                topic=row[3],
                state=row[4],
            )
            for row in self._select(statement, parameters)
        ]

    def _select(self, statement: str, parameters: tuple[Any, ...]) -> Sequence[Any]:
        # On the driver's own cursor: SQLAlchemy's would cost more than the look-up itself.
        try:
            with self._database.reading() as connection:
                driver = connection.connection.driver_connection
                if isinstance(driver, sqlite3.Connection):
                    return driver.execute(statement, parameters).fetchall()
                assert isinstance(driver, psycopg.Connection)
                return driver.cursor(binary=True).execute(statement.encode(), parameters).fetchall()
        except (DBAPIError, sqlite3.Error, psycopg.Error) as error:
            raise OperationalError("the event log could not be read") from error


def _uuid(originator_id: UUID | str) -> UUID:
    return originator_id if isinstance(originator_id, UUID) else UUID(originator_id)


def _clamped(number: int, least: int, most: int) -> int:
    return max(least, min(number, most))
