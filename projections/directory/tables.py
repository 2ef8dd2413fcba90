"""The tables of the directory: accounts, the keys that they lend out, and workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, String, Table, Text, Uuid

from domain.accounts.directory import AccountEntry
from domain.accounts.roles import Roles
from domain.workers.directory import WorkerEntry
from domain.workers.worker import WorkerKind
from projections.sql.encoding import Instant, capabilities_from_json

METADATA = MetaData()


ROLE_COLUMNS = (
    "trusted",
    "patron",
    "moderator",
    "admin",
    "service",
    "customizer",
    "special",
    "education",
    "vpn",
    "flagged",
)
"""The fields of :class:`domain.accounts.roles.Roles`."""

ACCOUNT = Table(
    "account",
    METADATA,
    Column("account_id", Uuid, primary_key=True),
    Column("name", Text, nullable=False, index=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("key_digest", String(64), nullable=False, unique=True),
    *(Column(role, Boolean, nullable=False) for role in ROLE_COLUMNS),
    Column("concurrency", Integer),
    Column("worker_invited", Integer, nullable=False),
    Column("public_workers", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("contact", Text),
    Column("comment", Text),
)
"""``contact`` and ``comment`` are sealed boxes as JSON."""

SHARED_KEY = Table(
    "shared_key",
    METADATA,
    Column("shared_key_id", Uuid, primary_key=True),
    Column("owner_id", Uuid, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("key_digest", String(64), nullable=False, unique=True),
    Column("kudos", BigInteger),
    Column("ends_at", Instant),
    Column("max_image_pixels", Integer),
    Column("max_image_steps", Integer),
)
"""Keys that were not revoked; ``kudos`` is in hundredths, and null is without a limit."""

WORKER = Table(
    "worker",
    METADATA,
    Column("worker_id", Uuid, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("owner_id", Uuid, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("capabilities", Text, nullable=False),
    Column("maintenance", Boolean, nullable=False),
    Column("maintenance_message", Text, nullable=False),
    Column("flagged", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("info", Text, nullable=False),
)
"""Workers that were not deleted."""


def account_from(row: Mapping[str, Any]) -> AccountEntry:
    """Return the account of a row of its table, perhaps with the ``shared_key_id`` shown for it."""
    return AccountEntry(
        account_id=row["account_id"],
        name=row["name"],
        number=row["number"],
        roles=Roles(**{role: row[role] for role in ROLE_COLUMNS}),
        concurrency=row["concurrency"],
        worker_invited=row["worker_invited"],
        public_workers=row["public_workers"],
        deleted=row["deleted"],
        opened_at=row["opened_at"],
        shared_key_id=row.get("shared_key_id"),
    )


def worker_from(row: Mapping[str, Any]) -> WorkerEntry:
    """Return the worker of a row of its table."""
    return WorkerEntry(
        worker_id=row["worker_id"],
        name=row["name"],
        owner_id=row["owner_id"],
        kind=WorkerKind(row["kind"]),
        capabilities=capabilities_from_json(row["capabilities"]),
        maintenance=row["maintenance"],
        maintenance_message=row["maintenance_message"],
        flagged=row["flagged"],
        paused=row["paused"],
        info=row["info"],
    )
