"""A cache of LoRA versions: a table, refreshed in the background.

It stays ours: an old entry is given at once and refreshed meanwhile, which no cache library does,
and the table is shared by all processes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TakesTooLong
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from pydantic import TypeAdapter
from sqlalchemy import Column, MetaData, String, Table, Text, delete, select
from sqlalchemy.exc import SQLAlchemyError

from domain.models.loras import Lora, ResolvedLora
from domain.ports import Clock
from infrastructure.storage.database import Database
from projections.sql.encoding import Instant
from projections.sql.rows import replace_row
from workers.models.lookup_pauses import LookupPauses
from workers.models.lora_versions import MetadataUnavailable

METADATA = MetaData()

LORA_VERSION = Table(
    "lora_version",
    METADATA,
    Column("asked", String(300), primary_key=True),
    Column("found", Text),
    Column("fetched_at", Instant, nullable=False, index=True),
)
"""How a LoRA was named (``model:`` or ``version:`` and its name), the version found (JSON,
NULL where there is none), and when that was."""


_log = structlog.get_logger(__name__)

_KEPT = timedelta(days=90)
_NOT_FOUND_KEPT = timedelta(hours=1)
_NEVER_CHANGES = timedelta(days=30)
_MAX_PENDING = 64
_THREADS = 2
_PRUNE_EVERY = 100

_as_json = TypeAdapter(ResolvedLora)


class Source(Protocol):
    """Looks up LoRA versions."""

    def find(self, lora: Lora) -> ResolvedLora | None:
        """Return the version, None when there is no such LoRA.

        :raises MetadataUnavailable: when the look-up fails.
        """

    def close(self) -> None:
        """Let go of what it holds."""


class AsGiven:
    """Resolves nothing: each worker looks the version up by itself."""

    def resolve(self, lora: Lora) -> ResolvedLora | None:
        """Return None."""
        return None

    def close(self) -> None:
        """Hold nothing."""


class CachedLoraVersions:
    """Answers from a table; other threads look up missing and old entries.

    A caller waits for a missing entry for up to ``wait`` seconds; only a few may wait at a time, so
    that a slow CivitAI never blocks the API's threads. An old entry is returned at once and looked
    up again: while CivitAI is down, all old entries stay in use.
    """

    def __init__(
        self,
        database: Database,
        source: Source,
        clock: Clock,
        *,
        fresh: timedelta,
        wait: float,
        most_waiting: int = 4,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep the table in the views' database.

        :param fresh: how long an entry counts as the latest version.
        :param wait: seconds that a caller may wait, 0 for not at all.
        :param seconds: seconds of a clock that never goes back.
        """
        self._database = database
        self._source = source
        self._clock = clock
        self._fresh = fresh
        self._wait = wait
        self._waiters = threading.BoundedSemaphore(most_waiting)
        self._pauses = LookupPauses(seconds)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lora-versions")
        self._pending: dict[str, Future[ResolvedLora | None]] = {}
        self._guard = threading.Lock()
        self._stored = 0

    def resolve(self, lora: Lora) -> ResolvedLora | None:
        """Return the version that is meant, None when the look-up fails or there is none."""
        key = _key(lora)
        known, found, age = self._entry(key)
        if known and age < self._lasts(lora, found):
            return found
        lookup = self._look_up(key, lora)
        if known or lookup is None:
            return found
        return self._wait_for(lookup)

    def close(self) -> None:
        """Stop all look-ups."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._source.close()

    def _lasts(self, lora: Lora, found: ResolvedLora | None) -> timedelta:
        if found is None:
            return min(_NOT_FOUND_KEPT, self._fresh)
        return _NEVER_CHANGES if lora.is_version else self._fresh

    def _entry(self, key: str) -> tuple[bool, ResolvedLora | None, timedelta]:
        """Return whether there is an entry, its version, and its age."""
        wanted = select(LORA_VERSION).where(LORA_VERSION.c.asked == key)
        with self._database.reading() as connection:
            row = connection.execute(wanted).first()
        if row is None:
            return False, None, timedelta()
        found = None if row.found is None else _as_json.validate_json(row.found)
        fetched_at: datetime = row.fetched_at
        return True, found, self._clock.now() - fetched_at

    def _look_up(self, key: str, lora: Lora) -> Future[ResolvedLora | None] | None:
        """Start a look-up, or join the pending one; None when there may be none now."""
        with self._guard:
            if key in self._pending:
                return self._pending[key]
            if len(self._pending) >= _MAX_PENDING or self._pauses.is_paused(key):
                return None
            try:
                lookup = self._pool.submit(self._fetch, key, lora)
            except RuntimeError:
                # The process is about to end.
                return None
            self._pending[key] = lookup
        lookup.add_done_callback(lambda _: self._remove(key))
        return lookup

    def _remove(self, key: str) -> None:
        with self._guard:
            self._pending.pop(key, None)

    def _wait_for(self, lookup: Future[ResolvedLora | None]) -> ResolvedLora | None:
        if not self._wait or not self._waiters.acquire(blocking=False):
            return None
        try:
            return lookup.result(timeout=self._wait)
        except TakesTooLong:
            return None
        finally:
            self._waiters.release()

    def _fetch(self, key: str, lora: Lora) -> ResolvedLora | None:
        try:
            with self._pauses.noting(key):
                found = self._source.find(lora)
        except MetadataUnavailable as failure:
            # Not the LoRA's name, which clients choose.
            _log.warning("civitai_away", reason=str(failure))
            return None
        row = {
            "asked": key,
            "found": None if found is None else _as_json.dump_json(found).decode(),
            "fetched_at": self._clock.now(),
        }
        try:
            self._store(row)
        except SQLAlchemyError as error:
            # The version is valid all the same; a later request looks it up again.
            _log.warning("lora_version_not_kept", reason=type(error).__name__)
        return found

    def _store(self, row: Mapping[str, object]) -> None:
        with self._database.transaction() as connection:
            replace_row(connection, LORA_VERSION, row)
            self._stored += 1
            if self._stored % _PRUNE_EVERY == 0:
                oldest = self._clock.now() - _KEPT
                connection.execute(delete(LORA_VERSION).where(LORA_VERSION.c.fetched_at < oldest))


def _key(lora: Lora) -> str:
    kind = "version" if lora.is_version else "model"
    return f"{kind}:{lora.name.strip().casefold()}".replace("\0", "")[:300]
