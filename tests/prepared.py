"""Databases that have Hoard's tables from the start.

To migrate an empty database costs more than what most tests do with it. So each process of tests
migrates one of a kind and copies it from then on; that the migrations make these tables is held by
tests of their own, which begin with nothing.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest

from infrastructure.bootstrap import Hoard, assemble
from infrastructure.settings.environment import Settings
from infrastructure.storage.database import Database
from infrastructure.storage.schema import migrate_ledger, migrate_views
from tests.servers import PostgresServer

Tables = Literal["ledger", "views", "both"]


def assembled(settings: Settings, **parts: Any) -> Hoard:
    """Assemble Hoard as :func:`assemble` does; databases on SQLite that are new have their tables.

    :param parts: what else ``assemble`` takes.
    """
    ledger, views = settings.ledger_database, settings.views_database
    if not ledger.startswith("sqlite:"):
        return assemble(settings, **parts)
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


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """The name of a database that has all tables, for :meth:`PostgresServer.create_database`."""
    name = postgres_server.create_database()
    database = Database(postgres_server.url(name))
    migrate(database)
    database.close()
    return name


@pytest.fixture
def prepared_postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """The URL of a new database on PostgreSQL that has all tables and nothing in them."""
    name = postgres_server.create_database(postgres_template)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


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
