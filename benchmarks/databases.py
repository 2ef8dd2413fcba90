"""The databases that are measured: a SQLite file of the data folder, or a PostgreSQL of our own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers import PostgresServer


@contextmanager
def ledger_url(database: str) -> Iterator[str | None]:
    """Run what a ledger needs while the block runs; None is the embedded default.

    :param database: ``sqlite``, or anything else for PostgreSQL.
    """
    if database == "sqlite":
        yield None
        return
    server = PostgresServer(durable=True)
    try:
        server.start()
        yield server.url(server.create_database())
    finally:
        server.close()
