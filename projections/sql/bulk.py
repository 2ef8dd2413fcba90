"""Rows of a table, many or few, in one statement.

Each statement has a fixed text whatever the number of rows, and runs on the driver's own cursor:
to compose it anew, or to have the driver run it once for each row, costs several times what the
database needs for it. PostgreSQL is given all rows as one JSON text; SQLite is in the same process
and takes them one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Dialect, Float, Table
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from projections.sql.statements import POSTGRES, driver_cursor

Convert = Callable[[Any], Any]

_SQLITE: Dialect = SQLiteDialect_pysqlite()


@dataclass(frozen=True, slots=True)
class _Words:
    """What one dialect says of a table."""

    read: str
    insert: str
    put: str
    add: str
    delete: str
    delete_empty: str
    to_store: Mapping[str, Convert]
    """By column, what makes a value storable, where anything has to."""
    to_load: Mapping[str, Convert]


class Bulk:
    """Reads and writes rows of one table; a row is a mapping that names all its columns.

    All of it raises ``DBAPIError`` as SQLAlchemy itself does.
    """

    def __init__(self, table: Table) -> None:
        """Read and write this table."""
        # Plain text: SQLAlchemy's names are of a class of their own, which is no key in JSON.
        self._names = [str(column.name) for column in table.columns]
        self._keys = [str(key) for key in _keys_of(table)]
        self._others = [name for name in self._names if name not in self._keys]
        self._postgres = _words_of(table, POSTGRES)
        self._sqlite = _words_of(table, _SQLITE)

    def by_key(self, connection: Connection, keys: Collection[Any]) -> list[dict[str, Any]]:
        """Return the rows that have these values in the table's one-column primary key."""
        if not keys:
            return []
        words = self._words(connection)
        store = words.to_store.get(self._keys[0])
        text = orjson.dumps(list(keys if store is None else map(store, keys))).decode()
        with driver_cursor(connection) as cursor:
            found = cursor.execute(words.read, (text,)).fetchall()
        rows = [dict(zip(self._names, row, strict=True)) for row in found]
        for name, load in words.to_load.items():
            for row in rows:
                row[name] = load(row[name])
        return rows

    def insert(self, connection: Connection, rows: Collection[Mapping[str, Any]]) -> None:
        """Insert rows that are not there yet; none is no error."""
        words = self._words(connection)
        self._write(connection, words, words.insert, self._names, rows)

    def put(self, connection: Connection, rows: Collection[Mapping[str, Any]]) -> None:
        """Insert rows, each replacing the one with its key; none is no error."""
        words = self._words(connection)
        self._write(connection, words, words.put, self._names, rows)

    def delete(self, connection: Connection, keys: Collection[Any]) -> None:
        """Delete the rows that have these values in the table's one-column primary key."""
        words = self._words(connection)
        (key,) = self._keys
        self._write(connection, words, words.delete, self._keys, [{key: each} for each in keys])

    def add(self, connection: Connection, deltas: Mapping[tuple[Any, ...], Sequence[int]]) -> None:
        """Add whole numbers to rows of counters, and keep no row whose first counter reached zero.

        :param deltas: by primary key, what to add to each of the other columns, in the table's
            order. A row that is not there counts as zeros.
        """
        rows = [
            dict(zip(self._keys, key, strict=True)) | dict(zip(self._others, delta, strict=True))
            for key, delta in deltas.items()
            if any(delta)
        ]
        words = self._words(connection)
        self._write(connection, words, words.add, self._names, rows)
        fewer = [row for row in rows if row[self._others[0]] <= 0]
        self._write(connection, words, words.delete_empty, self._keys, fewer)

    def _words(self, connection: Connection) -> _Words:
        return self._sqlite if connection.dialect.name == "sqlite" else self._postgres

    def _write(
        self,
        connection: Connection,
        words: _Words,
        statement: str,
        names: Sequence[str],
        rows: Collection[Mapping[str, Any]],
    ) -> None:
        if not rows:
            return
        store = [(name, words.to_store.get(name)) for name in names]
        given = [
            {name: row[name] if make is None else make(row[name]) for name, make in store}
            for row in rows
        ]
        with driver_cursor(connection) as cursor:
            if words is self._sqlite:
                cursor.executemany(statement, [tuple(row.values()) for row in given])
            else:
                cursor.execute(statement, (orjson.dumps(given).decode(),))


def _words_of(table: Table, dialect: Dialect) -> _Words:
    kinds = {column.name: column.type.dialect_impl(dialect) for column in table.columns}
    stores = {name: kind.bind_processor(dialect) for name, kind in kinds.items()}
    loads = {
        name: kind.result_processor(dialect, None)
        for name, kind in kinds.items()
        # To both drivers this is a float; SQLAlchemy would want to know how it comes.
        if not isinstance(kind, Float)
    }
    statements = _in_sqlite(table) if dialect is _SQLITE else _in_postgres(table)
    return _Words(
        **statements,
        to_store={name: convert for name, convert in stores.items() if convert is not None},
        to_load={name: convert for name, convert in loads.items() if convert is not None},
    )


def _in_sqlite(table: Table) -> dict[str, str]:
    name, listed = _quoted(table.name), _listed(table.columns.keys())
    keys = _keys_of(table)
    by_key = " AND ".join(f"{_quoted(key)} = ?" for key in keys)
    insert = f"INSERT INTO {name} AS t ({listed}) VALUES ({', '.join('?' * len(table.columns))})"
    return {
        "read": (
            f"SELECT {listed} FROM {name}"
            f" WHERE {_quoted(keys[0])} IN (SELECT value FROM json_each(?))"
        ),
        "delete": f"DELETE FROM {name} WHERE {by_key}",
        "delete_empty": f"DELETE FROM {name} WHERE {by_key}{_and_empty(table)}",
        **_inserts(table, insert),
    }


def _in_postgres(table: Table) -> dict[str, str]:
    # Keys are given as arrays, with which rows are found through the index even by a plan that was
    # made, and kept, when the table was small. A join might read all of a table that has grown.
    name, listed = _quoted(table.name), _listed(table.columns.keys())
    types = {each.name: each.type.compile(dialect=POSTGRES) for each in table.columns}
    keys = {key: types[key] for key in _keys_of(table)}
    first, kind = next(iter(keys.items()))
    same = " AND ".join(f"{_quoted(key)} = r.{_quoted(key)}" for key in keys)
    insert = f"INSERT INTO {name} AS t ({listed}) SELECT {listed} FROM {_rows(types)}"
    return {
        "read": (
            f"SELECT {listed} FROM {name} WHERE {_quoted(first)} = ANY (ARRAY("
            f"SELECT r::{kind} FROM json_array_elements_text(%s::json) AS r))"
        ),
        "delete": (
            f"DELETE FROM {name} WHERE {_quoted(first)} = ANY (ARRAY("
            f"SELECT {_quoted(first)} FROM {_rows(keys)}))"
        ),
        "delete_empty": (
            f"DELETE FROM {name} WHERE ctid = ANY (ARRAY(SELECT found.ctid FROM {_rows(keys)}"
            f" CROSS JOIN LATERAL (SELECT ctid FROM {name}"
            f" WHERE {same}{_and_empty(table)} OFFSET 0) AS found))"
        ),
        **_inserts(table, insert),
    }


def _inserts(table: Table, insert: str) -> dict[str, str]:
    keys = _listed(_keys_of(table))
    others = [_quoted(column.name) for column in table.columns if not column.primary_key]
    replaced = ", ".join(f"{each} = excluded.{each}" for each in others)
    added = ", ".join(f"{each} = t.{each} + excluded.{each}" for each in others)
    return {
        "insert": insert,
        "put": f"{insert} ON CONFLICT ({keys}) DO UPDATE SET {replaced}",
        "add": f"{insert} ON CONFLICT ({keys}) DO UPDATE SET {added}",
    }


def _keys_of(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]


def _and_empty(table: Table) -> str:
    counter = next(column.name for column in table.columns if not column.primary_key)
    return f" AND {_quoted(counter)} = 0"


def _rows(types: Mapping[str, str]) -> str:
    columns = ", ".join(f"{_quoted(name)} {kind}" for name, kind in types.items())
    return f"json_to_recordset(%s::json) AS r ({columns})"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return f'"{name}"'
