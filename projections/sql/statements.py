"""Statements of the hot paths: compiled once a dialect, run on the driver's own cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect, Select, UpdateBase
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

# With named parameters the driver would look for their names in each statement anew.
POSTGRES: Dialect = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]
"""PostgreSQL's words and types, with parameters by position."""


@contextmanager
def driver_cursor(connection: Connection) -> Iterator[Any]:
    """Lend a cursor of the connection's driver.

    :raises DBAPIError: as SQLAlchemy itself does, of what the driver raises in the block.
    """
    dialect = connection.dialect
    driver: Any = connection.connection.driver_connection
    try:
        yield driver.cursor(binary=True) if dialect.name == "postgresql" else driver.cursor()
    except dialect.loaded_dbapi.Error as error:
        raise DBAPIError.instance(
            None, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
        ) from error


Convert = Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement in the words of one dialect."""

    sql: Any
    positions: Sequence[tuple[str, Any, Convert]]
    """In order: the name of a parameter, its value if none is given, and what makes it storable."""
    dialect: Dialect


class Statement:
    """A statement with a fixed text, whatever it is called with; rows come as plain tuples."""

    def __init__(self, clause: Select[*tuple[Any, ...]] | UpdateBase) -> None:
        """Wrap a statement of SQLAlchemy's; an insert is given all columns of its table."""
        self._clause = clause
        self._names = [str(column.key) for column in clause.exported_columns]
        self._compiled: dict[str, _Compiled] = {}
        self._loaders: dict[str, Sequence[Convert]] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Run it for what it changes.

        :raises DBAPIError: as SQLAlchemy itself does.
        """
        self._run(connection, values, fetch=False)

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        """Run it and return its rows, all at once.

        :raises DBAPIError: as SQLAlchemy itself does.
        """
        cursor, rows = self._run(connection, values, fetch=True)
        loaders = self._loaders.get(connection.dialect.name)
        if loaders is None:
            loaders = self._loaders[connection.dialect.name] = self._loaders_of(connection, cursor)
        if not any(loaders):
            return rows
        return [
            tuple(
                value if load is None else load(value)
                for load, value in zip(loaders, row, strict=True)
            )
            for row in rows
        ]

    def first(self, connection: Connection, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Run it and return its first row by the names of its columns, None when there is none.

        :raises DBAPIError: as SQLAlchemy itself does.
        """
        rows = self.rows(connection, values)
        return dict(zip(self._names, rows[0], strict=True)) if rows else None

    def _run(
        self, connection: Connection, values: Mapping[str, Any], *, fetch: bool
    ) -> tuple[Any, list[tuple[Any, ...]]]:
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = self._compile(dialect)
        parameters = []
        for name, usual, convert in compiled.positions:
            value = values.get(name, usual)
            parameters.append(value if convert is None else convert(value))
        with driver_cursor(connection) as cursor:
            cursor.execute(compiled.sql, parameters)
            return cursor, cursor.fetchall() if fetch else []

    def _compile(self, dialect: Dialect) -> _Compiled:
        is_postgres = dialect.name == "postgresql"
        spoken = POSTGRES if is_postgres else dialect
        compiled = self._clause.compile(dialect=spoken)
        assert isinstance(compiled, SQLCompiler)

        def storable(name: str) -> Convert:
            kind: TypeEngine[Any] = compiled.binds[name].type
            return kind.dialect_impl(spoken).bind_processor(spoken)

        return _Compiled(
            sql=str(compiled).encode() if is_postgres else str(compiled),
            positions=[
                (name, compiled.binds[name].effective_value, storable(name))
                for name in compiled.positiontup or ()
            ],
            dialect=spoken,
        )

    def _loaders_of(self, connection: Connection, cursor: Any) -> Sequence[Convert]:
        """Return what makes a value of each column, as far as its type and the driver's ask."""
        dialect = self._compiled[connection.dialect.name].dialect
        types: list[TypeEngine[Any]] = [column.type for column in self._clause.exported_columns]
        return [
            kind.dialect_impl(dialect).result_processor(dialect, column[1])
            for kind, column in zip(types, cursor.description, strict=True)
        ]
