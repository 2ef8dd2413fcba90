"""The driver's own cursor, for statements whose text is fixed and which run often.

To have SQLAlchemy prepare, run and wrap up a statement costs a process as much again as the trip to
the database does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError

# With named parameters the driver would look for their names in each statement anew.
POSTGRES: Dialect = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]
"""PostgreSQL's words and types, with parameters by place."""


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
