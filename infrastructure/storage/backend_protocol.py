"""What :class:`infrastructure.storage.database.Database` needs from SQLite and from PostgreSQL."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Connection, Engine


class GroupFailed(RuntimeError):
    """The commit shared with other threads failed: nothing of this transaction was kept."""


class ForkedInUse(RuntimeError):
    """The parent was using this SQLite file when it forked, so the child never can, safely."""


class Backend(Protocol):
    """Opens and ends transactions, and lends connections for reading; thread-safe."""

    @property
    def engine(self) -> Engine:
        """The engine for writing."""

    def begin(self) -> Connection:
        """A connection with a write transaction open."""

    def end(self, connection: Connection, *, commit: bool) -> None:
        """End what :meth:`begin` opened; on return a commit is durable.

        :raises GroupFailed: when a commit shared with other threads failed.
        """

    def acquire_reader(self) -> Connection:
        """A read-only connection, to be given back with :meth:`release_reader`."""

    def release_reader(self, connection: Connection) -> None:
        """Take back a connection for reading."""

    def close(self) -> None:
        """Close what is idle."""

    def before_fork(self) -> None:
        """Called in a process that is about to fork."""

    def forked(self) -> None:
        """Called in a forked child: forget the parent's connections without closing them."""
