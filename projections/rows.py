"""Writing many rows at once in words that SQLite and PostgreSQL both know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Insert,
    Row,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    delete,
    select,
    update,
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


def rows_by_key(connection: Connection, table: Table, keys: Iterable[Any]) -> list[Row[Any]]:
    """Return the rows that have these values in the table's one-column primary key."""
    (key,) = table.primary_key.columns
    found: list[Row[Any]] = []
    for portion in portions_of(keys):
        found.extend(connection.execute(_select_in(table, key), {"keys": portion}))
    return found


def _select_in(table: Table, key: ColumnElement[Any]) -> Select[Any]:
    return select(table).where(key.in_(bindparam("keys", expanding=True)))


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; none is no error."""
    if rows:
        connection.execute(table.insert(), rows)


def update_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Update whole rows by their primary key, which stands in the rows too; none is no error."""
    if rows:
        connection.execute(
            _update_by_key(table), [{_bound(name): row[name] for name in row} for row in rows]
        )


def delete_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Delete rows by their primary key, given as mappings; none is no error."""
    if rows:
        connection.execute(
            _delete_by_key(table), [{_bound(name): row[name] for name in row} for row in rows]
        )


def _bound(column: str) -> str:
    # SQLAlchemy keeps a column's own name for the parameters that it makes itself.
    return f"new_{column}"


def _by_key(table: Table) -> ColumnElement[bool]:
    return and_(*(column == bindparam(_bound(column.name)) for column in table.primary_key.columns))


def _update_by_key(table: Table) -> Update:
    changed: dict[str, Any] = {
        column.name: bindparam(_bound(column.name))
        for column in table.columns
        if not column.primary_key
    }
    return update(table).where(_by_key(table)).values(changed)


def _delete_by_key(table: Table) -> Delete:
    return delete(table).where(_by_key(table))


def insert_unless_there(connection: Connection, table: Table) -> Insert:
    """Return an insert that leaves a row with the same key as it is."""
    statement: Insert = _dialect_insert(connection, table).on_conflict_do_nothing()
    return statement


def replace_row(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert a row, or put it in the place of the one with the same key."""
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


def add_to_counters(
    connection: Connection, table: Table, deltas: Mapping[tuple[Any, ...], Sequence[int]]
) -> None:
    """Add whole numbers to rows of counters, and keep no row whose first counter reached zero.

    :param deltas: by primary key, what to add to each of the other columns, in the table's order.
        A row that is not there counts as zeros.
    """
    keys = [column.name for column in table.primary_key.columns]
    counters = [column.name for column in table.columns if not column.primary_key]
    rows = [
        dict(zip(keys, key, strict=True)) | dict(zip(counters, delta, strict=True))
        for key, delta in deltas.items()
        if any(delta)
    ]
    if not rows:
        return
    statement = _dialect_insert(connection, table)
    sums = {name: table.c[name] + statement.excluded[name] for name in counters}
    connection.execute(
        statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=sums),
        rows,
    )
    fewer = [row for row in rows if row[counters[0]] <= 0]
    if fewer:
        connection.execute(
            _delete_by_key(table).where(table.c[counters[0]] == 0),
            [{_bound(name): row[name] for name in keys} for row in fewer],
        )


def _dialect_insert(connection: Connection, table: Table) -> Any:
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)
