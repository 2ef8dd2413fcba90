"""The keys of personal fields, stored outside the log so that they can be deleted."""

from __future__ import annotations

import base64
import binascii
import os
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from cachetools import LRUCache
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    MetaData,
    Table,
    Uuid,
    bindparam,
    delete,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from domain.sealing import Forgotten, Sealed
from infrastructure.storage.database import Database

_NONCE_BYTES = 12
_KEY_BYTES = 32
_FRESH = "fresh personal keys"

_key_table = Table(
    "personal_key",
    MetaData(),
    Column("subject", Uuid(), primary_key=True),
    Column("key", LargeBinary(), nullable=False),
)
_values: dict[str, Any] = {"subject": bindparam("subject"), "key": bindparam("key")}
_INSERT_SQLITE = (
    sqlite.insert(_key_table)
    .values(_values)
    .on_conflict_do_nothing()
    .returning(_key_table.c.subject)
)
_INSERT_POSTGRES = (
    postgresql.insert(_key_table)
    .values(_values)
    .on_conflict_do_nothing()
    .returning(_key_table.c.subject)
)
_SELECT = select(_key_table.c.key).where(_key_table.c.subject == bindparam("subject"))
_DELETE = delete(_key_table).where(_key_table.c.subject == bindparam("subject"))


class WrongMasterKey(RuntimeError):
    """A personal key exists but this master key does not open it."""


class PersonalKeys:
    """Seals personal text with AES-256-GCM under one random key for each subject.

    The keys lie in the table ``personal_key``, themselves sealed under the master key; a copy of
    the database alone opens nothing. The subject's id is authenticated with both, so that no box
    and no key can be passed off as another's.

    :param master_key: 32 random bytes, the same in every process.
    :param cache_size: most keys kept in memory, at least 1.
    :param cache_seconds: how long a key is kept; for so long at most *another* process can still
        read what this one has forgotten.
    :param monotonic: seconds, for the age of cached keys.
    """

    def __init__(
        self,
        database: Database,
        master_key: bytes,
        *,
        cache_size: int = 1024,
        cache_seconds: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if len(master_key) != _KEY_BYTES:
            raise ValueError(f"a master key has {_KEY_BYTES} bytes")
        self._database = database
        self._master = AESGCM(master_key)
        self._insert = _INSERT_SQLITE if database.is_sqlite else _INSERT_POSTGRES
        # By the number of each subject, which is hashed faster than a UUID.
        self._cache: LRUCache[int, tuple[float, AESGCM]] = LRUCache(cache_size)
        self._cache_guard = threading.Lock()
        self._cache_seconds = cache_seconds
        self._monotonic = monotonic

    def seal(self, subject: UUID, text: str) -> Sealed:
        """Seal ``text`` under the subject's key, making the key on first use.

        A new key is kept or lost with this thread's open transaction.

        :raises WrongMasterKey: when the subject's key was made under another master key.
        """
        cipher = self._cached(subject) or self._key_to_seal_with(subject)
        nonce = os.urandom(_NONCE_BYTES)
        box = nonce + cipher.encrypt(nonce, text.encode("utf-8", "surrogatepass"), subject.bytes)
        return Sealed(subject=subject, box=base64.urlsafe_b64encode(box).decode("ascii"))

    def open(self, sealed: Sealed) -> str:
        """Return the text.

        :raises Forgotten: when the key is gone, replaced by a later one, or the box is damaged.
        :raises WrongMasterKey: when the subject's key was made under another master key.
        """
        subject = sealed.subject
        cipher = self._cached(subject)
        if cipher is None:
            with self._database.reading() as connection:
                wrapped = self._wrapped_key(connection, subject)
                fresh = self._database.in_transaction and subject in self._fresh_keys()
            if wrapped is None:
                raise Forgotten(f"the key of {subject} was deleted")
            cipher = self._unwrapped(subject, wrapped)
            if not fresh:
                self._put_in_cache(subject, cipher)
        try:
            box = base64.urlsafe_b64decode(sealed.box.encode("ascii"))
            text = cipher.decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], subject.bytes)
            return text.decode("utf-8", "surrogatepass")
        except (InvalidTag, binascii.Error, ValueError):
            raise Forgotten(f"no key of {subject} opens this box") from None

    def forget(self, subject: UUID) -> None:
        """Delete the subject's key: nothing sealed under it can be read again.

        Backups of the table have to be deleted by their keeper.
        """
        with self._database.transaction() as connection:
            connection.execute(_DELETE, {"subject": subject})
            self._fresh_keys().pop(subject, None)
            with self._cache_guard:
                self._cache.pop(subject.int, None)

    def _key_to_seal_with(self, subject: UUID) -> AESGCM:
        with self._database.transaction() as connection:
            fresh = self._fresh_keys()
            if (made_here := fresh.get(subject)) is not None:
                return made_here
            key = os.urandom(_KEY_BYTES)
            nonce = os.urandom(_NONCE_BYTES)
            wrapped = nonce + self._master.encrypt(nonce, key, subject.bytes)
            inserted = connection.execute(self._insert, {"subject": subject, "key": wrapped})
            if inserted.first() is not None:
                # Not for the cache: other threads must not use a key that may be rolled back.
                cipher = fresh[subject] = AESGCM(key)
                return cipher
            existing = self._wrapped_key(connection, subject)
            if existing is None:
                raise Forgotten(f"the key of {subject} was deleted at this moment")
            cipher = self._unwrapped(subject, existing)
            self._put_in_cache(subject, cipher)
            return cipher

    def _fresh_keys(self) -> dict[UUID, AESGCM]:
        fresh: dict[UUID, AESGCM] = self._database.transaction_notes.setdefault(_FRESH, {})
        return fresh

    def _wrapped_key(self, connection: Connection, subject: UUID) -> bytes | None:
        return connection.execute(_SELECT, {"subject": subject}).scalar_one_or_none()

    def _unwrapped(self, subject: UUID, wrapped: bytes) -> AESGCM:
        try:
            key = self._master.decrypt(
                wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], subject.bytes
            )
        except (InvalidTag, ValueError):
            raise WrongMasterKey("the master key does not open the personal keys") from None
        return AESGCM(key)

    def _cached(self, subject: UUID) -> AESGCM | None:
        with self._cache_guard:
            entry = self._cache.get(subject.int)
            if entry is None:
                return None
            since, cipher = entry
            if self._monotonic() - since > self._cache_seconds:
                del self._cache[subject.int]
                return None
            return cipher

    def _put_in_cache(self, subject: UUID, cipher: AESGCM) -> None:
        with self._cache_guard:
            self._cache[subject.int] = (self._monotonic(), cipher)
