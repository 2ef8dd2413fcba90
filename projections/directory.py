"""The directory: whose key is whose, and which worker is called what. Exact, like the queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    MetaData,
    Row,
    String,
    Table,
    Text,
    Uuid,
    bindparam,
    func,
    insert,
    select,
    update,
)

from domain.account import Account, Roles
from domain.ports import AccountEntry, WorkerEntry
from domain.worker import Worker
from projections.encoding import capabilities_from_json, capabilities_to_json
from projections.view import Recorded, ViewDatabase

METADATA = MetaData()

ACCOUNT = Table(
    "account",
    METADATA,
    Column("account_id", Uuid, primary_key=True),
    Column("name", Text, nullable=False, index=True),
    Column("key_digest", String(64), nullable=False, unique=True),
    Column("trusted", Boolean, nullable=False),
    Column("patron", Boolean, nullable=False),
    Column("moderator", Boolean, nullable=False),
)
WORKER = Table(
    "worker",
    METADATA,
    Column("worker_id", Uuid, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("owner_id", Uuid, nullable=False, index=True),
    Column("capabilities", Text, nullable=False),
    Column("maintenance", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False),
)

_BY_KEY = select(ACCOUNT).where(ACCOUNT.c.key_digest == bindparam("key"))
_BY_NAME = select(WORKER).where(WORKER.c.name == bindparam("worker_name"))


class AccountDirectory:
    """Accounts and workers, as a view of the log and as the ledger's port to it."""

    name = "directory"
    tables: Sequence[Table] = (ACCOUNT, WORKER)

    def __init__(self, database: ViewDatabase) -> None:
        """Keep the directory in the database that holds the events."""
        self._database = database

    def apply(self, connection: Connection, records: Sequence[Recorded]) -> None:
        """Follow accounts and workers."""
        for record in records:
            _apply(connection, record.event)

    def account_by_key(self, key_digest: str) -> AccountEntry | None:
        """Return the account whose key has this SHA-256."""
        with self._database.reading() as connection:
            return _account(connection.execute(_BY_KEY, {"key": key_digest}).first())

    def account(self, account_id: UUID) -> AccountEntry | None:
        """Return an account."""
        with self._database.reading() as connection:
            found = select(ACCOUNT).where(ACCOUNT.c.account_id == account_id)
            return _account(connection.execute(found).first())

    def account_by_name(self, name: str) -> AccountEntry | None:
        """Return the account of this name that was opened first."""
        found = select(ACCOUNT).where(ACCOUNT.c.name == name).order_by(ACCOUNT.c.account_id)
        with self._database.reading() as connection:
            return _account(connection.execute(found.limit(1)).first())

    def worker_by_name(self, name: str) -> WorkerEntry | None:
        """Return the worker of this name."""
        with self._database.reading() as connection:
            row = connection.execute(_BY_NAME, {"worker_name": name}).first()
        if row is None:
            return None
        return WorkerEntry(
            worker_id=row.worker_id,
            name=row.name,
            owner_id=row.owner_id,
            capabilities=capabilities_from_json(row.capabilities),
            maintenance=row.maintenance,
            paused=row.paused,
        )

    def workers_of(self, owner_id: UUID) -> int:
        """Return how many workers an account runs."""
        counted = select(func.count()).select_from(WORKER).where(WORKER.c.owner_id == owner_id)
        with self._database.reading() as connection:
            return connection.execute(counted).scalar_one()


def _account(row: Row[Any] | None) -> AccountEntry | None:
    if row is None:
        return None
    roles = Roles(trusted=row.trusted, patron=row.patron, moderator=row.moderator)
    return AccountEntry(account_id=row.account_id, name=row.name, roles=roles)


def _apply(connection: Connection, event: Any) -> None:
    match event:
        case Account.Opened():
            row = {
                "account_id": event.originator_id,
                "name": event.name,
                "key_digest": event.key_digest,
                **_roles(event.roles),
            }
            connection.execute(insert(ACCOUNT), row)
        case Account.KeyRegenerated():
            _set(connection, ACCOUNT.c.account_id, event, key_digest=event.key_digest)
        case Account.RolesChanged():
            _set(connection, ACCOUNT.c.account_id, event, **_roles(event.roles))
        case Worker.Registered():
            row = {
                "worker_id": event.originator_id,
                "name": event.name,
                "owner_id": event.owner_id,
                "capabilities": capabilities_to_json(event.capabilities),
                "maintenance": False,
                "paused": False,
            }
            connection.execute(insert(WORKER), row)
        case Worker.CapabilitiesDeclared():
            declared = capabilities_to_json(event.capabilities)
            _set(connection, WORKER.c.worker_id, event, capabilities=declared)
        case Worker.MaintenanceChanged():
            _set(connection, WORKER.c.worker_id, event, maintenance=event.maintenance)
        case Worker.PauseChanged():
            _set(connection, WORKER.c.worker_id, event, paused=event.paused)


def _roles(roles: Roles) -> dict[str, bool]:
    return {"trusted": roles.trusted, "patron": roles.patron, "moderator": roles.moderator}


def _set(connection: Connection, key: Column[UUID], event: Any, **values: object) -> None:
    connection.execute(update(key.table).where(key == event.originator_id).values(**values))
