"""Seeing every statement that a connection runs, whoever runs it there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection


@contextmanager
def statements_of(connection: Connection) -> Iterator[list[str]]:
    """Lend a list to which each statement is added that runs on a connection meanwhile."""
    seen: list[str] = []
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        driver.set_trace_callback(seen.append)
        try:
            yield seen
        finally:
            driver.set_trace_callback(None)
        return
    assert isinstance(driver, psycopg.Connection)

    class Noting(psycopg.Cursor[Any]):
        def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
            seen.append(query.decode() if isinstance(query, bytes) else str(query))
            return super().execute(query, *arguments, **options)

    usual = driver.cursor_factory
    driver.cursor_factory = Noting
    try:
        yield seen
    finally:
        driver.cursor_factory = usual
