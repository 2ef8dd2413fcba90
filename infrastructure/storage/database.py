"""One SQL database behind one small surface: a write transaction, a read, and nothing else.

The same code runs on SQLite and on PostgreSQL; what differs lives in
:mod:`infrastructure.storage.sqlite_backend` and :mod:`infrastructure.storage.postgres_backend`.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL, make_url

from infrastructure.storage.backend_protocol import Backend, ForkedInUse, GroupFailed
from infrastructure.storage.postgres_backend import PostgresBackend
from infrastructure.storage.sqlite_backend import SqliteFileBackend, SqliteMemoryBackend

__all__ = ["Database", "ForkedInUse", "GroupFailed", "TransactionDoomed", "normalised_url"]


class TransactionDoomed(RuntimeError):
    """A nested transaction failed and its error was swallowed, so the outer one was rolled back."""


def normalised_url(url: str) -> URL:
    """The SQLAlchemy URL for what an operator wrote.

    ``postgresql://`` and ``postgres://`` (what libpq and hosting panels print) become psycopg 3.

    :raises ValueError: when the URL cannot be read, or names another kind of database.
    """
    try:
        parsed = make_url(url)
    except sqlalchemy.exc.ArgumentError:
        raise ValueError("a database URL starts with sqlite:// or postgresql://") from None
    if parsed.drivername in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise ValueError(
            f"no support for {parsed.drivername!r} databases: use sqlite:// or postgresql://"
        )
    return parsed


class _Open:
    """What one thread has open now."""

    __slots__ = ("after_commit", "connection", "depth", "doomed", "notes", "writing")

    def __init__(self, connection: Connection, *, writing: bool) -> None:
        self.connection = connection
        self.writing = writing
        self.depth = 1
        self.doomed = False
        self.notes: dict[str, Any] = {}
        self.after_commit: list[Callable[[], None]] = []


class _ThreadState(threading.local):
    writing: _Open | None = None
    reading: _Open | None = None


class Database:
    """One SQL database, SQLite or PostgreSQL, chosen by URL.

    ``sqlite:////abs/path.db`` is a file, ``sqlite://`` lives in memory (one connection, guarded by
    a lock), ``postgresql+psycopg://…`` is a server. Threads may share a ``Database``. A forked
    child may go on using it, with connections of its own; only when the parent was using a SQLite
    file at the moment of the fork is every use in the child refused with :class:`ForkedInUse`.

    :param pool_size: most connections kept for writing, and again for reading, at least 1.
    :param durable: whether a commit waits until it is on disk. If not, a power cut may undo the
        latest transactions, each as a whole; a killed process still undoes none. Good for views,
        whose followers make anew what is missing.
    """

    def __init__(self, url: str, *, pool_size: int = 16, durable: bool = True) -> None:
        if pool_size < 1:
            raise ValueError("pool_size is at least 1")
        parsed = normalised_url(url)
        self.is_sqlite: bool = parsed.drivername == "sqlite"
        self._backend: Backend
        if not self.is_sqlite:
            self._backend = PostgresBackend(parsed, pool_size=pool_size, durable=durable)
        elif parsed.database in {None, "", ":memory:"}:
            self._backend = SqliteMemoryBackend()
        else:
            self._backend = SqliteFileBackend(parsed, pool_size=pool_size, durable=durable)
        self._state = _ThreadState()
        _alive.add(self)

    @property
    def engine(self) -> Engine:
        """The engine for writing; prefer :meth:`transaction`, which queues and nests."""
        return self._backend.engine

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction: committed and durable at the end, rolled back on any exception.

        A nested call in the same thread joins the outer transaction. Never commit or roll back the
        connection itself: several threads' transactions may share one commit on SQLite.

        :raises TransactionDoomed: when a nested block raised and the outer block went on.
        :raises GroupFailed: on SQLite, when the commit shared with other threads failed.
        """
        state = self._state
        outer = state.writing
        if outer is not None:
            try:
                yield outer.connection
            except BaseException:
                outer.doomed = True
                raise
            return
        connection = self._backend.begin()
        frame = _Open(connection, writing=True)
        state.writing = frame
        try:
            yield connection
        except BaseException:
            state.writing = None
            self._backend.end(connection, commit=False)
            raise
        state.writing = None
        self._backend.end(connection, commit=not frame.doomed)
        if frame.doomed:
            raise TransactionDoomed("a nested transaction failed: everything was rolled back")
        for call in frame.after_commit:
            call()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with: this thread's open transaction, or else a read-only one.

        Outside a transaction each statement sees what is committed when it starts; a statement
        that writes is refused by the database. Fetch rows before the block ends.
        """
        state = self._state
        outer = state.writing or state.reading
        if outer is not None:
            yield outer.connection
            return
        connection = self._backend.acquire_reader()
        state.reading = _Open(connection, writing=False)
        try:
            yield connection
        finally:
            state.reading = None
            self._backend.release_reader(connection)

    @property
    def in_transaction(self) -> bool:
        """Whether this thread has a write transaction open."""
        return self._state.writing is not None

    @property
    def transaction_notes(self) -> dict[str, Any]:
        """A scratch space that lives as long as this thread's open transaction.

        :raises RuntimeError: when this thread has no transaction open.
        """
        return self._frame().notes

    def after_commit(self, call: Callable[[], None]) -> None:
        """Have something called once this thread's open transaction was committed as a whole.

        :raises RuntimeError: when this thread has no transaction open.
        """
        self._frame().after_commit.append(call)

    def close(self) -> None:
        """Close every idle connection. A later use opens new ones, except in memory."""
        self._backend.close()

    def _frame(self) -> _Open:
        frame = self._state.writing
        if frame is None:
            raise RuntimeError("no transaction is open in this thread")
        return frame

    def _forked(self) -> None:
        self._state = _ThreadState()
        self._backend.forked()


_alive: weakref.WeakSet[Database] = weakref.WeakSet()


def _before_fork() -> None:
    for database in list(_alive):
        database._backend.before_fork()


def _after_fork_in_child() -> None:
    for database in list(_alive):
        database._forked()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
