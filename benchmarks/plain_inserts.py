"""What the database can do at best: the rows that an operation writes, inserted and nothing else.

Each operation's rate is printed as a ratio to this, measured in the same run on the same server,
so that figures of different machines can be compared.
"""

from __future__ import annotations

import os
import threading
import time
from uuid import uuid4

from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, Text, Uuid, insert

from infrastructure.storage.database import Database

ROWS = {"async": 3, "pop": 4, "submit": 5, "check": 1, "cycle": 12}
"""Rows that one call writes: events, and the queue's rows that change with them."""

_STATE = os.urandom(600)
_PLAIN = Table(
    "plain_insert",
    MetaData(),
    Column("position", Integer, primary_key=True),
    Column("stream", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("topic", Text, nullable=False),
    Column("state", LargeBinary, nullable=False),
)
_INSERT = insert(_PLAIN)


def plain_inserts(database: Database, rows: int, *, clients: int, transactions: int) -> float:
    """Return transactions per second of ``rows`` inserted rows each, from several threads."""
    with database.transaction() as connection:
        _PLAIN.create(connection, checkfirst=True)

    def client() -> None:
        for _ in range(transactions // clients):
            with database.transaction() as connection:
                connection.execute(_INSERT, [_row(version) for version in range(rows)])

    threads = [threading.Thread(target=client) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    with database.transaction() as connection:
        _PLAIN.drop(connection)
    return transactions // clients * clients / seconds


def _row(version: int) -> dict[str, object]:
    return {"stream": uuid4(), "version": version, "topic": "Plain.Inserted", "state": _STATE}
