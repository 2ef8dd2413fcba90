"""The results of commands with an ``Idempotency-Key``, beside the events."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Double, MetaData, String, Table, Uuid, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from domain.ledger.idempotency import HEADER, CommandResult, IdempotencyKey
from domain.return_codes import Refused
from infrastructure.keys.master_key import derived_key
from infrastructure.storage.database import Database
from projections.sql.encoding import Instant

_KEY_PURPOSE = b"hoard: digests of repeated commands, version 1"

METADATA = MetaData()

REPEATED_COMMAND = Table(
    "repeated_command",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("content", String(64), nullable=False),
    Column("subject", Uuid, nullable=False),
    Column("kudos", Double, nullable=False),
    Column("ends_at", Instant, nullable=False, index=True),
)
"""Digests and results only. It is no view: keys and bodies are not history."""

_TABLE = REPEATED_COMMAND.c
_FIND = select(_TABLE.content, _TABLE.subject, _TABLE.kudos).where(
    _TABLE.key == bindparam("key"), _TABLE.ends_at > bindparam("now")
)
_OVER = delete(REPEATED_COMMAND).where(_TABLE.ends_at <= bindparam("now"))


class IdempotencyTable:
    """Stores results of commands until they expire, in the database of the events."""

    def __init__(self, database: Database) -> None:
        """Use the ledger's database, so that a result and its events are committed together."""
        self._database = database
        dialect: Any = sqlite if database.is_sqlite else postgresql
        inserted = dialect.insert(REPEATED_COMMAND)
        replaced = {
            column: inserted.excluded[column]
            for column in ("content", "subject", "kudos", "ends_at")
        }
        self._insert = inserted.on_conflict_do_update(
            index_elements=["key"],
            set_=replaced,
            # An expired row that is not deleted yet may be replaced.
            where=_TABLE.ends_at <= bindparam("now", type_=Instant),
        ).returning(_TABLE.key)

    def earlier(self, key: IdempotencyKey, now: datetime) -> CommandResult | None:
        """Return what came of the same command when it was sent before, if it was.

        :raises Refused: ``BadRequest``, when something else was sent with the same key.
        """
        with self._database.reading() as connection:
            row = connection.execute(_FIND, {"key": key.key, "now": now}).first()
        if row is None:
            return None
        if row.content != key.content:
            raise Refused(
                "BadRequest",
                f"{HEADER}: this key was sent with another body before. Take a new key for "
                "each new request.",
                {HEADER: "was used for another request"},
            )
        return CommandResult(subject=row.subject, kudos=row.kudos)

    def remember(
        self, key: IdempotencyKey, done: CommandResult, *, now: datetime, until: datetime
    ) -> bool:
        """Store a result in this thread's transaction; false when there is one already."""
        row = {
            "key": key.key,
            "content": key.content,
            "subject": done.subject,
            "kudos": done.kudos,
            "ends_at": until,
            "now": now,
        }
        with self._database.transaction() as connection:
            return connection.execute(self._insert, row).first() is not None

    def delete_expired(self, now: datetime) -> int:
        """Delete expired results; return how many there were."""
        with self._database.transaction() as connection:
            return connection.execute(_OVER, {"now": now}).rowcount


class KeyedDigests:
    """Digests that only this installation can make: HMAC-SHA256 under a key of the master key's."""

    def __init__(self, master_key: bytes) -> None:
        """Derive the key (HKDF, RFC 5869)."""
        self._key = derived_key(master_key, _KEY_PURPOSE)

    def __call__(self, *parts: bytes) -> str:
        """Return the digest of several byte strings in their order, as 64 hex digits."""
        digest = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()
