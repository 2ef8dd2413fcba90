"""SQLite behind :class:`infrastructure.storage.database.Database`: one writer, many readers.

Writers queue instead of polling: threads of a process on a lock, processes on a ``flock`` of
``<file>.lock``, which the kernel hands on in order, where SQLite's busy handler would sleep.

**Shared commits.** A commit that survives a power cut costs an ``fsync``, milliseconds on ordinary
disks, and SQLite makes one for each transaction. So transactions of several threads that are
waiting anyway share one: each runs in its own savepoint on the one writing connection, one after
the other, and the last one commits for all; no call returns before that commit. Readers see only
what is committed, so nothing is ever visible that a power cut could take back.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
from collections import deque
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError, TimeoutError
from sqlalchemy.pool import NullPool

from infrastructure.storage.backend_protocol import ForkedInUse, GroupFailed

_BUSY_SECONDS = 30
"""How long to wait for a program that holds SQLite's lock without holding ours, and for other
threads, which may be waiting for it one after the other."""

_GROUP_LIMIT = 64
"""Most transactions in one commit, so that other processes get their turn."""

_RESCUE_SECONDS = 0.5
"""After this long a waiting member looks whether the thread that should commit is still there."""

_abandoned: list[object] = []
"""Connections inherited by a forked child: SQLite forbids even closing them there."""


class _Group:
    """The transactions that share one commit."""

    __slots__ = ("done", "failure", "size")

    def __init__(self) -> None:
        self.size = 0
        self.done = threading.Event()
        self.failure: BaseException | None = None


class SqliteFileBackend:
    """A database file in WAL mode.

    :param pool_size: most idle connections kept for reading.
    :param durable: whether a commit waits until it is on disk.
    """

    def __init__(self, url: URL, *, pool_size: int, durable: bool) -> None:
        assert url.database is not None
        self._lock_path = f"{url.database}.lock"
        self._pool_size = pool_size
        self._engine = _new_engine(url, poolclass=NullPool)
        event.listen(self._engine, "connect", _prepare_file)
        if not durable:
            event.listen(self._engine, "connect", _do_not_wait_for_disk)
        event.listen(self._engine, "begin", _begin_immediate)
        self._read_engine = _new_engine(url, poolclass=NullPool)
        event.listen(self._read_engine, "connect", _prepare_reader)
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._unusable = False
        self._lent: set[Connection] = set()
        self._turn = threading.Lock()
        self._waiting = 0
        self._waiting_guard = threading.Lock()
        self._group: _Group | None = None
        self._writer: Connection | None = None
        self._readers: deque[Connection] = deque()
        self._lock_file: int | None = None

    @property
    def engine(self) -> Engine:
        return self._engine

    def begin(self) -> Connection:
        self._check_usable()
        self._wait_for_turn()
        try:
            if self._group is None:
                self._open_group()
            writer = self._writer
            assert writer is not None
            _driver(writer).execute("SAVEPOINT member")
        except BaseException:
            self._fail_group(GroupFailed("the transaction could not be opened"))
            self._turn.release()
            raise
        return writer

    def end(self, connection: Connection, *, commit: bool) -> None:
        group = self._group
        assert group is not None
        try:
            driver = _driver(connection)
            if not driver.in_transaction:
                # SQLite rolls back as a whole when the disk is full or cannot be written.
                raise GroupFailed("the database rolled the whole transaction back")
            if commit:
                driver.execute("RELEASE member")
            else:
                driver.execute("ROLLBACK TO member")
                driver.execute("RELEASE member")
            group.size += 1
            if self._waiting and group.size < _GROUP_LIMIT:
                handed_on = True
            else:
                handed_on = False
                self._commit_group()
        except BaseException as error:
            self._fail_group(error)
            self._turn.release()
            if commit:
                raise
            return
        self._turn.release()
        if handed_on:
            # Also after a rollback: what this member lost against has to be visible to its retry.
            self._wait_for_commit(group)
            if commit and group.failure is not None:
                raise GroupFailed("the shared commit failed") from group.failure

    def _wait_for_turn(self) -> None:
        if self._turn.acquire(blocking=False):
            return
        with self._waiting_guard:
            self._waiting += 1
        try:
            if not self._turn.acquire(timeout=_BUSY_SECONDS):
                # As the pool of the other backend says it.
                raise TimeoutError("other threads have kept the database busy for long")
        finally:
            with self._waiting_guard:
                self._waiting -= 1

    def _wait_for_commit(self, group: _Group) -> None:
        while not group.done.wait(_RESCUE_SECONDS):
            # A thread may be interrupted while it waits for the turn that was left to it.
            if self._turn.acquire(blocking=False):
                try:
                    if self._group is group:
                        self._commit_group()
                except BaseException as error:
                    self._fail_group(error)
                finally:
                    self._turn.release()

    def _open_group(self) -> None:
        if self._lock_file is None:
            self._lock_file = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(self._lock_file, fcntl.LOCK_EX)
        if self._writer is None:
            self._writer = self._engine.connect()
        self._writer.begin()
        self._group = _Group()

    def _commit_group(self) -> None:
        writer, group = self._writer, self._group
        assert writer is not None
        assert group is not None
        assert self._lock_file is not None
        writer.commit()
        self._group = None
        fcntl.flock(self._lock_file, fcntl.LOCK_UN)
        group.done.set()

    def _fail_group(self, error: BaseException) -> None:
        """Give up the open transaction, if there is one, with all its members."""
        group, writer = self._group, self._writer
        self._group = self._writer = None
        if writer is not None:
            with contextlib.suppress(SQLAlchemyError, sqlite3.Error):
                writer.rollback()
            with contextlib.suppress(SQLAlchemyError, sqlite3.Error):
                writer.close()
        if self._lock_file is not None:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)
        if group is not None:
            group.failure = error
            group.done.set()

    def acquire_reader(self) -> Connection:
        self._check_usable()
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = self._read_engine.connect()
        self._lent.add(connection)
        return connection

    def release_reader(self, connection: Connection) -> None:
        self._lent.discard(connection)
        try:
            connection.rollback()
        except SQLAlchemyError:
            connection.invalidate()
            connection.close()
            return
        if len(self._readers) < self._pool_size:
            self._readers.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        while self._readers:
            self._readers.pop().close()
        with self._turn:
            if self._writer is not None and self._group is None:
                self._writer.close()
                self._writer = None
            if self._lock_file is not None and self._group is None:
                os.close(self._lock_file)
                self._lock_file = None

    def before_fork(self) -> None:
        # SQLite keeps, for the whole process, which locks its open connections hold; a child
        # inherits that record but not the locks. With nothing open there is nothing to inherit.
        while self._readers:
            self._readers.pop().close()
        if self._turn.acquire(blocking=False):
            try:
                if self._group is None and self._writer is not None:
                    self._writer.close()
                    self._writer = None
            finally:
                self._turn.release()

    def forked(self) -> None:
        in_use = bool(self._lent) or self._writer is not None
        _abandoned.extend((self._writer, self._readers))
        # A lock shared with the parent would stay held if the parent died while holding it.
        if self._lock_file is not None:
            os.close(self._lock_file)
        self._start_afresh()
        self._unusable = in_use

    def _check_usable(self) -> None:
        if self._unusable:
            raise ForkedInUse("this process was forked while its parent used the database")


class SqliteMemoryBackend:
    """A database in memory: one connection, one user at a time."""

    def __init__(self) -> None:
        self._engine = _new_engine(URL.create("sqlite"), poolclass=StaticPool)
        event.listen(self._engine, "connect", _prepare_common)
        event.listen(self._engine, "begin", _begin)
        self._turn = threading.RLock()
        self._connection = self._engine.connect()

    @property
    def engine(self) -> Engine:
        return self._engine

    def begin(self) -> Connection:
        self._turn.acquire()
        try:
            self._connection.begin()
        except BaseException:
            self._turn.release()
            raise
        return self._connection

    def end(self, connection: Connection, *, commit: bool) -> None:
        try:
            if commit:
                connection.commit()
            else:
                connection.rollback()
        finally:
            self._turn.release()

    def acquire_reader(self) -> Connection:
        self._turn.acquire()
        _driver(self._connection).execute("PRAGMA query_only = ON")
        return self._connection

    def release_reader(self, connection: Connection) -> None:
        try:
            connection.rollback()
            _driver(connection).execute("PRAGMA query_only = OFF")
        finally:
            self._turn.release()

    def close(self) -> None:
        with self._turn:
            self._connection.close()
            self._engine.dispose()

    def before_fork(self) -> None:
        """Nothing: the child gets a copy."""

    def forked(self) -> None:
        self._turn = threading.RLock()


def _new_engine(url: URL, **options: Any) -> Engine:
    return create_engine(
        url,
        hide_parameters=True,
        # The driver opens no transactions of its own accord; check_same_thread would forbid
        # handing a connection from thread to thread, which we do one after the other.
        connect_args={
            "isolation_level": None,
            "check_same_thread": False,
            "timeout": _BUSY_SECONDS,
        },
        **options,
    )


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _begin_immediate(connection: Connection) -> None:
    # A transaction that starts as a reader may find, at its first write, that it reads the past.
    _driver(connection).execute("BEGIN IMMEDIATE")


def _begin(connection: Connection) -> None:
    _driver(connection).execute("BEGIN")


def _prepare_common(driver: sqlite3.Connection, _record: Any) -> None:
    driver.execute("PRAGMA foreign_keys = ON")
    driver.execute("PRAGMA temp_store = MEMORY")


def _prepare_file(driver: sqlite3.Connection, record: Any) -> None:
    driver.execute("PRAGMA journal_mode = WAL")
    driver.execute("PRAGMA synchronous = FULL")
    _prepare_common(driver, record)


def _do_not_wait_for_disk(driver: sqlite3.Connection, _record: Any) -> None:
    driver.execute("PRAGMA synchronous = NORMAL")


def _prepare_reader(driver: sqlite3.Connection, record: Any) -> None:
    driver.execute("PRAGMA journal_mode = WAL")
    _prepare_common(driver, record)
    driver.execute("PRAGMA query_only = ON")
