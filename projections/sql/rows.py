"""Writing many rows at once in words that SQLite and PostgreSQL both know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Insert,
    Table,
)
from sqlalchemy.dialects import postgresql, sqlite

MOST_KEYS = 500
"""Keys asked for in one statement; SQLite takes no more than 32,766 parameters."""

Item = TypeVar("Item")


def portions_of(items: Iterable[Item], size: int = MOST_KEYS) -> Iterator[list[Item]]:
    """Cut what may be long into lists of up to ``size``."""
    rest = iter(items)
    while portion := list(islice(rest, size)):
        yield portion


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; none is no error."""
    if rows:
        connection.execute(table.insert(), rows)


def insert_unless_there(connection: Connection, table: Table) -> Insert:
    """Return an insert that leaves a row with the same key as it is."""
    statement: Insert = _dialect_insert(connection, table).on_conflict_do_nothing()
    return statement


def replace_row(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert a row, or replace the one with the same key."""
    statement = _dialect_insert(connection, table)
    changed: dict[str, Any] = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if not column.primary_key
    }
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns), set_=changed
        ),
        [row],
    )


def _dialect_insert(connection: Connection, table: Table) -> Any:
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)
