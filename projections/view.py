"""What every view is: some tables, and how events change them.

A view holds nothing that the log does not: it can be dropped and rebuilt from event one. A few (the
inline ones, such as ``queue``) change in the transaction that saves the events; all others follow
the log, with the position that they reached stored in the same transaction as the change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable
from uuid import UUID

from eventsourcing.domain import Aggregate
from sqlalchemy import ColumnElement, Connection, FromClause, Table


class NotFollowing(ValueError):
    """An event came without those that must stand before it."""


INLINE_VIEWS = frozenset({"queue", "directory", "kudos", "modes", "deliveries"})
"""Names of the views that change in the transaction of the events and so have no position."""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event and its position in the log's total order."""

    position: int
    event: Aggregate.Event


class View(Protocol):
    """A read model of the log."""

    @property
    def name(self) -> str:
        """What operators call it."""

    @property
    def tables(self) -> Sequence[Table]:
        """Its tables, which no other view shares."""

    def apply(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        """Change the tables as these events say, in log order, on this connection's transaction.

        Nothing but the records and the view's own tables may decide what is written: the same log
        gives the same rows in every replay, in whatever portions.
        """


@dataclass(frozen=True, slots=True)
class Compared:
    """Rows that follow from the log alone, and may therefore be compared."""

    name: str
    rows: FromClause
    key: Sequence[ColumnElement[Any]]
    """The columns that identify a row."""

    @classmethod
    def table(cls, table: Table) -> Self:
        """Compare a table as it is."""
        return cls(table.name, table, list(table.primary_key.columns))


@runtime_checkable
class SettlingView(View, Protocol):
    """A view whose rows may differ in form between two replays, but not in what they say."""

    @property
    def compared(self) -> Sequence[Compared]:
        """What follows from the log alone, whatever the form that its tables have just now."""

    def settle(self, connection: Connection) -> None:
        """Bring the tables into their shortest form, in a private database."""


class Log(Protocol):
    """The port through which views read the log."""

    def after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        """Return up to ``limit`` final events above ``position``, in log order.

        Final means that no event will ever appear below: a follower that goes on from the last
        position it was given skips nothing.
        """

    def committed_after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        """Return up to ``limit`` committed events above ``position``, final or not."""

    def tails(self, versions: Mapping[UUID, int]) -> Sequence[RecordedEvent]:
        """Return the events of these streams above these versions, in log order."""

    def last_position(self) -> int:
        """Return the position of the last final event, 0 when there is none."""


class ViewDatabase(Protocol):
    """The port to the database that holds views."""

    def transaction(self) -> AbstractContextManager[Connection]:
        """Open a write transaction, or join this thread's open one."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Open a connection to read from, or join this thread's open transaction."""
