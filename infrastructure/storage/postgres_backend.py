"""PostgreSQL as a backend of the database: a pool to write, a pool to read."""

from __future__ import annotations

import contextlib
import select
import time
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InvalidatePoolError

LOCK_SECONDS = 30
"""How long a statement waits for a lock that somebody else holds."""

_PING_AFTER_SECONDS = 30.0

_CONNECT: dict[str, Any] = {
    "fallback_application_name": "hoard",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""A peer that vanishes is noticed within a minute: its open transaction holds followers back."""


class PostgresBackend:
    """A pool for write transactions and one for reads that never opens a transaction block.

    :param pool_size: most connections of each pool; a caller waits up to 30 seconds for one.
    :param durable: whether a commit waits until it is on disk.
    """

    def __init__(self, url: URL, *, pool_size: int, durable: bool) -> None:
        # Whatever the server's default is: who has waited for a payer's lock must then see what its
        # holder committed, and not what was there when the transaction began.
        self._writers = self._new_engine(url, pool_size, isolation_level="READ COMMITTED")
        # A single statement needs no BEGIN and no ROLLBACK: two round trips less for every read.
        self._readers = self._new_engine(url, pool_size, isolation_level="AUTOCOMMIT")
        event.listen(self._writers, "connect", _prepare_writer)
        if not durable:
            event.listen(self._writers, "connect", _do_not_wait_for_disk)
        event.listen(self._readers, "connect", _prepare_reader)

    @staticmethod
    def _new_engine(url: URL, pool_size: int, **options: Any) -> Engine:
        engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=30,
            pool_use_lifo=True,
            hide_parameters=True,
            connect_args=_CONNECT,
            **options,
        )
        event.listen(engine, "checkout", _check_alive)
        event.listen(engine, "checkin", _note_checkin)
        return engine

    @property
    def engine(self) -> Engine:
        return self._writers

    def begin(self) -> Connection:
        connection = self._writers.connect()
        connection.begin()
        return connection

    def end(self, connection: Connection, *, commit: bool) -> None:
        try:
            if commit:
                connection.commit()
            else:
                # The exception that led here says more than a rollback on a dead connection.
                with contextlib.suppress(DBAPIError, psycopg.Error):
                    connection.rollback()
        finally:
            _give_back(connection)

    def acquire_reader(self) -> Connection:
        return self._readers.connect()

    def release_reader(self, connection: Connection) -> None:
        _give_back(connection)

    def close(self) -> None:
        self._writers.dispose()
        self._readers.dispose()

    def before_fork(self) -> None:
        """Nothing: the connections stay with the parent."""

    def forked(self) -> None:
        self._writers.dispose(close=False)
        self._readers.dispose(close=False)


def _give_back(connection: Connection) -> None:
    if not connection.invalidated and _driver(connection).closed:
        connection.invalidate()
    connection.close()


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def _prepare_writer(driver: psycopg.Connection[Any], _record: Any) -> None:
    # Followers wait for the oldest open transaction, so a client that hangs may not keep one.
    _set_for_good(driver, "SET idle_in_transaction_session_timeout = '5min'")
    _set_for_good(driver, f"SET lock_timeout = '{LOCK_SECONDS}s'")


def _do_not_wait_for_disk(driver: psycopg.Connection[Any], _record: Any) -> None:
    _set_for_good(driver, "SET synchronous_commit = off")


def _prepare_reader(driver: psycopg.Connection[Any], _record: Any) -> None:
    _set_for_good(driver, "SET default_transaction_read_only = on")


def _set_for_good(driver: psycopg.Connection[Any], statement: str) -> None:
    driver.execute(statement.encode())
    if not driver.autocommit:
        driver.commit()


def _note_checkin(driver: Any, record: Any) -> None:
    record.info["idle_since"] = time.monotonic()


def _check_alive(driver: psycopg.Connection[Any], record: Any, _proxy: Any) -> None:
    """Refuse a dead connection without asking the server each time.

    A server that went away has closed its end, which makes an idle socket readable; only then, or
    after a long idle time, is a round trip spent.
    """
    idle_since = record.info.get("idle_since")
    if idle_since is None:
        return
    if driver.closed:
        raise InvalidatePoolError("the connection was closed")
    poll = select.poll()
    poll.register(driver.fileno(), select.POLLIN | select.POLLERR | select.POLLHUP)
    if not poll.poll(0) and time.monotonic() - idle_since < _PING_AFTER_SECONDS:
        return
    try:
        driver.execute("SELECT 1")
        if not driver.autocommit:
            driver.rollback()
    except psycopg.Error as error:
        raise InvalidatePoolError("the server closed the connection") from error
