"""The directory: whose key is whose, and which worker is called what. Exact, like the queue."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Table, bindparam, func, select

from domain.accounts.directory import AccountEntry, SharedKeyEntry
from domain.accounts.shared_key import KeyLimits
from domain.sealing import Sealed
from domain.workers.directory import WorkerEntry
from projections.directory.apply import apply_changes, unboxed
from projections.directory.tables import (
    ACCOUNT,
    SHARED_KEY,
    WORKER,
    account_from,
    worker_from,
)
from projections.sql.bulk import Bulk
from projections.sql.statements import Statement
from projections.view import RecordedEvent, ViewDatabase

_BY_KEY = Statement(select(ACCOUNT).where(ACCOUNT.c.key_digest == bindparam("key")))
_BY_SHARED_KEY = Statement(
    select(ACCOUNT, SHARED_KEY.c.shared_key_id)
    .join_from(SHARED_KEY, ACCOUNT, ACCOUNT.c.account_id == SHARED_KEY.c.owner_id)
    .where(SHARED_KEY.c.key_digest == bindparam("key"))
)
_workers = Bulk(WORKER)
_BY_NAME = Statement(select(WORKER).where(WORKER.c.name == bindparam("worker_name")))


@dataclass(frozen=True, slots=True)
class AccountNotes:
    """What is written down about an account, sealed under its key."""

    contact: Sealed | None
    comment: Sealed | None


class AccountDirectory:
    """Accounts and workers, as a view of the log and as the ledger's port to it."""

    name = "directory"
    tables: Sequence[Table] = (ACCOUNT, SHARED_KEY, WORKER)

    def __init__(self, database: ViewDatabase) -> None:
        """Keep the directory in the database that holds the events."""
        self._database = database

    def apply(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        """Follow accounts, shared keys and workers."""
        for record in records:
            apply_changes(connection, record.event)

    def account_by_key(self, key_digest: str) -> AccountEntry | None:
        """Return the account whose key has this SHA-256, be it deleted; of a shared key, its
        owner's."""
        with self._database.reading() as connection:
            row = _BY_KEY.first(connection, {"key": key_digest})
            if row is None:
                row = _BY_SHARED_KEY.first(connection, {"key": key_digest})
        return None if row is None else account_from(row)

    def account(self, account_id: UUID) -> AccountEntry | None:
        """Return an account, be it deleted."""
        return self._account_where(ACCOUNT.c.account_id == account_id)

    def account_by_number(self, number: int) -> AccountEntry | None:
        """Return the account of this number, be it deleted."""
        return self._account_where(ACCOUNT.c.number == number)

    def account_by_name(self, name: str) -> AccountEntry | None:
        """Return the account of this name that was opened first."""
        found = select(ACCOUNT).where(ACCOUNT.c.name == name).order_by(ACCOUNT.c.number)
        with self._database.reading() as connection:
            return _account(connection.execute(found.limit(1)).first())

    def accounts(self, *, after: int, limit: int) -> Sequence[AccountEntry]:
        """Return accounts by their numbers, those above ``after``; the deleted ones are left out.

        :param limit: 1 to 1,000.
        """
        page = (
            select(ACCOUNT)
            .where(ACCOUNT.c.number > after, ~ACCOUNT.c.deleted)
            .order_by(ACCOUNT.c.number)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [account_from(row._asdict()) for row in connection.execute(page)]

    def accounts_by_ids(self, account_ids: Collection[UUID]) -> Mapping[UUID, AccountEntry]:
        """Return these accounts, a few hundred at most, be they deleted."""
        found = select(ACCOUNT).where(ACCOUNT.c.account_id.in_(account_ids))
        with self._database.reading() as connection:
            return {
                row.account_id: account_from(row._asdict()) for row in connection.execute(found)
            }

    def notes_on(self, account_id: UUID) -> AccountNotes:
        """Return what is written down about an account, sealed."""
        found = select(ACCOUNT.c.contact, ACCOUNT.c.comment)
        with self._database.reading() as connection:
            row = connection.execute(found.where(ACCOUNT.c.account_id == account_id)).first()
        return AccountNotes(*map(unboxed, row)) if row else AccountNotes(None, None)

    def next_account_number(self) -> int:
        """Return a number that no account has; who saves it first gets it."""
        highest = select(func.max(ACCOUNT.c.number))
        with self._database.reading() as connection:
            return (connection.execute(highest).scalar() or 0) + 1

    def shared_key(self, shared_key_id: UUID) -> SharedKeyEntry | None:
        """Return a shared key that was not revoked."""
        found = select(SHARED_KEY).where(SHARED_KEY.c.shared_key_id == shared_key_id)
        with self._database.reading() as connection:
            row = connection.execute(found).first()
        return None if row is None else _shared_key(row)

    def shared_key_by_digest(self, key_digest: str) -> SharedKeyEntry | None:
        """Return the shared key that has this SHA-256, if it was not revoked."""
        found = select(SHARED_KEY).where(SHARED_KEY.c.key_digest == key_digest)
        with self._database.reading() as connection:
            row = connection.execute(found).first()
        return None if row is None else _shared_key(row)

    def count_of_shared_keys(self, owner_id: UUID) -> int:
        """Return how many shared keys of an account were not revoked."""
        counted = select(func.count()).select_from(SHARED_KEY)
        with self._database.reading() as connection:
            return connection.execute(counted.where(SHARED_KEY.c.owner_id == owner_id)).scalar_one()

    def shared_keys_of(self, owner_id: UUID) -> Sequence[SharedKeyEntry]:
        """Return the shared keys of an account that were not revoked."""
        found = select(SHARED_KEY).where(SHARED_KEY.c.owner_id == owner_id)
        with self._database.reading() as connection:
            return [_shared_key(row) for row in connection.execute(found)]

    def worker(self, worker_id: UUID) -> WorkerEntry | None:
        """Return a worker that was not deleted."""
        with self._database.reading() as connection:
            found = select(WORKER).where(WORKER.c.worker_id == worker_id)
            row = connection.execute(found).first()
        return None if row is None else worker_from(row._asdict())

    def workers(self, worker_ids: Collection[UUID]) -> Mapping[UUID, WorkerEntry]:
        """Return those of these workers that were not deleted."""
        with self._database.reading() as connection:
            rows = _workers.by_key(connection, worker_ids)
        return {row["worker_id"]: worker_from(row) for row in rows}

    def worker_by_name(self, name: str) -> WorkerEntry | None:
        """Return the worker of this name."""
        with self._database.reading() as connection:
            row = _BY_NAME.first(connection, {"worker_name": name})
        return None if row is None else worker_from(row)

    def workers_owned_by(self, owner_id: UUID) -> Sequence[WorkerEntry]:
        """Return the workers that an account runs, by their names."""
        found = select(WORKER).where(WORKER.c.owner_id == owner_id).order_by(WORKER.c.name)
        with self._database.reading() as connection:
            return [worker_from(row._asdict()) for row in connection.execute(found)]

    def workers_of(self, owner_id: UUID) -> int:
        """Return how many workers an account runs."""
        counted = select(func.count()).select_from(WORKER).where(WORKER.c.owner_id == owner_id)
        with self._database.reading() as connection:
            return connection.execute(counted).scalar_one()

    def _account_where(self, condition: Any) -> AccountEntry | None:
        with self._database.reading() as connection:
            return _account(connection.execute(select(ACCOUNT).where(condition)).first())


def _account(row: Row[Any] | None) -> AccountEntry | None:
    return None if row is None else account_from(row._asdict())


def _shared_key(row: Row[Any]) -> SharedKeyEntry:
    ends_at: datetime | None = row.ends_at
    return SharedKeyEntry(
        shared_key_id=row.shared_key_id,
        owner_id=row.owner_id,
        name=row.name,
        limits=KeyLimits(
            kudos=None if row.kudos is None else row.kudos // 100,
            ends_at=ends_at,
            max_image_pixels=row.max_image_pixels,
            max_image_steps=row.max_image_steps,
        ),
    )
