"""A private database in which a view is computed anew from event one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, StaticPool, Table, create_engine, func, select

from projections.view import RecordedEvent, View


class Scratch:
    """A view's tables, empty at first, and how far the view has got there."""

    def __init__(self, view: View, connection: Connection) -> None:
        """Compute ``view`` in the scratch database that this connection is to."""
        self.view = view
        self.connection = connection
        self.position = 0
        self.events = 0

    def apply(self, records: Sequence[RecordedEvent]) -> None:
        """Let the view take the next events."""
        self.view.apply(self.connection, records)
        self.position = records[-1].position
        self.events += len(records)

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        return self.connection.execute(select(func.count()).select_from(table)).scalar_one()


@contextmanager
def scratch_of(view: View) -> Iterator[Scratch]:
    """Open a scratch database with the view's tables in it.

    It is SQLite in a temporary file that has no name and is gone at the end: a small one never
    leaves memory, a large one does not fill it.
    """
    engine = create_engine("sqlite://", creator=_private_database, poolclass=StaticPool)
    try:
        with engine.connect() as connection:
            for table in view.tables:
                table.create(connection)
            yield Scratch(view, connection)
    finally:
        engine.dispose()


def _private_database() -> sqlite3.Connection:
    # To SQLite, the empty name is a temporary database on disk. Nothing of it has to survive.
    driver = sqlite3.connect("", check_same_thread=False)
    driver.execute("PRAGMA synchronous = OFF")
    driver.execute("PRAGMA journal_mode = OFF")
    return driver
