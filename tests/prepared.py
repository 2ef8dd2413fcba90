"""Databases that have Hoard's tables from the start.

To migrate an empty database costs more than what most tests do with it. So each process of tests
migrates one of a kind, and copies or empties it from then on; that the migrations make these
tables is held by tests of their own, which begin with nothing.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import psycopg
import pytest

from infrastructure.bootstrap import Hoard, assemble
from infrastructure.settings.environment import Settings
from infrastructure.storage.database import Database
from infrastructure.storage.schema import migrate_ledger, migrate_views
from tests.servers import PostgresServer, disconnect_others

Tables = Literal["ledger", "views", "both"]


def assembled(settings: Settings, **parts: Any) -> Hoard:
    """Assemble Hoard as :func:`assemble` does; databases on SQLite that are new have their tables.

    :param parts: what else ``assemble`` takes.
    """
    ledger, views = settings.ledger_database, settings.views_database
    if not ledger.startswith("sqlite:"):
        is_prepared = ledger == views and ledger in PostgresCopy.urls
        return assemble(settings, migrate=not is_prepared, **parts)
    for url, tables in ((ledger, "ledger"), (views, "views")):
        if (path := _path_of(url)) is not None and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_sqlite_file("both" if views == ledger else tables))
    hoard = assemble(settings, migrate=False, **parts)
    if _path_of(ledger) is None:
        fill_memory(hoard.storage.ledger_database, "both")
    return hoard


def prepared(url: str, tables: Tables = "ledger", **options: Any) -> Database:
    """Open a new database that has these tables; on PostgreSQL they are made if they are missing.

    :param options: what else a ``Database`` takes.
    """
    path = _path_of(url)
    if path is not None:
        path.write_bytes(_sqlite_file(tables))
    database = Database(url, **options)
    if not database.is_sqlite:
        migrate(database, tables)
    elif path is None:
        fill_memory(database, tables)
    return database


def fill_memory(database: Database, tables: Tables) -> None:
    """Copy tables into a database in memory that has none."""
    copy_into_memory(_sqlite_memory(tables), database)


def copy_into_memory(source: sqlite3.Connection, database: Database) -> None:
    """Put all that is in one database in place of what is in another one, which is in memory."""
    with database.reading() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        connection.rollback()
        driver.execute("PRAGMA query_only = OFF")
        source.backup(driver)


def migrate(database: Database, tables: Tables = "both") -> None:
    """Make tables the slow way."""
    if tables != "views":
        migrate_ledger(database)
    if tables != "ledger":
        migrate_views(database)


class PostgresCopy:
    """A copy of a database that is put back to what it was after each test.

    That takes a few milliseconds, and a new copy ten times as long.
    """

    urls: ClassVar[set[str]] = set()
    """Of all copies of this process."""

    def __init__(self, server: PostgresServer, template: str) -> None:
        self._server = server
        self._template = template
        self._copy()

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the copy."""
        return self._server.url(self._name)

    def restore(self) -> None:
        """Put it back to what it was, whoever is still connected."""
        with self._server.connect(self._name) as connection:
            disconnect_others(connection)
            if self._columns_of(connection) == self._columns:
                self._empty(connection)
                return
        self.urls.discard(self.url)
        self._server.drop_database(self._name)
        self._copy()

    def _copy(self) -> None:
        self._name = self._server.create_database(self._template)
        self.urls.add(self.url)
        with self._server.connect(self._name) as connection:
            self._columns = self._columns_of(connection)
            self._tables = sorted({str(table) for table, _ in self._columns})
            connection.execute("CREATE SCHEMA first")
            self._filled = [
                table
                for table in self._tables
                if connection.execute(f"SELECT 1 FROM {table} LIMIT 1".encode()).fetchone()
            ]
            for table in self._filled:
                connection.execute(f"CREATE TABLE first.{table} AS TABLE {table}".encode())

    def _empty(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        large = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind = 'r' AND pg_relation_size(oid) > 65536"
        ).fetchall()
        # What is deleted stays in the file for a while, and a plan may come to depend on it.
        changes = [f"TRUNCATE {table}" for (table,) in large]
        changes += [f"DELETE FROM {table}" for table in self._tables]
        changes += [f"INSERT INTO {table} TABLE first.{table}" for table in self._filled]
        connection.execute("; ".join(changes).encode())

    @staticmethod
    def _columns_of(
        connection: psycopg.Connection[tuple[object, ...]],
    ) -> list[tuple[object, ...]]:
        return connection.execute(
            "SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
            " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0"
            " ORDER BY 1, 2"
        ).fetchall()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """The name of a database that has all tables, for :meth:`PostgresServer.create_database`."""
    name = postgres_server.create_database()
    database = Database(postgres_server.url(name))
    migrate(database)
    database.close()
    return name


@pytest.fixture(scope="session")
def postgres_copy(postgres_server: PostgresServer, postgres_template: str) -> PostgresCopy:
    """A database that has all tables, for one test after the other."""
    return PostgresCopy(postgres_server, postgres_template)


@pytest.fixture
def prepared_postgres_url(postgres_copy: PostgresCopy) -> Iterator[str]:
    """The URL of a database on PostgreSQL that has all tables, and in them what migrations put."""
    yield postgres_copy.url
    postgres_copy.restore()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest) -> str | None:
    """The setting of a Hoard on SQLite files, and of one on PostgreSQL."""
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("prepared_postgres_url")
    return url


def _path_of(url: str) -> Path | None:
    """The file of a database on SQLite, none for one in memory or on a server."""
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


@cache
def _sqlite_file(tables: Tables) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "migrated.db")
        database = Database(f"sqlite:///{path}")
        migrate(database, tables)
        database.close()
        return path.read_bytes()


@cache
def _sqlite_memory(tables: Tables) -> sqlite3.Connection:
    database = Database("sqlite://")
    migrate(database, tables)
    made = sqlite3.connect(":memory:", check_same_thread=False)
    with database.reading() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.backup(made)
    database.close()
    return made
