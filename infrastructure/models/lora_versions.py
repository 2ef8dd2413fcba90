"""Which versions LoRAs mean: remembered in a table, found out beside the requests that ask."""

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
from infrastructure.models.civitai import CivitaiAway
from infrastructure.storage.database import Database
from projections.sql.encoding import Instant
from projections.sql.rows import replace_row

METADATA = MetaData()

LORA_VERSION = Table(
    "lora_version",
    METADATA,
    Column("asked", String(300), primary_key=True),
    Column("found", Text),
    Column("fetched_at", Instant, nullable=False, index=True),
)
"""What a LoRA was asked for by (``model:`` or ``version:`` and its name), the version found (JSON,
NULL where there is none), and when that was."""


_log = structlog.get_logger(__name__)

_KEPT = timedelta(days=90)
_NOT_FOUND_KEPT = timedelta(hours=1)
_NEVER_CHANGES = timedelta(days=30)
_QUIET_SECONDS = 30.0
_MOST_ASKED = 64
_THREADS = 2
_PRUNE_EVERY = 100

_as_json = TypeAdapter(ResolvedLora)


class Source(Protocol):
    """Who knows which version a LoRA means."""

    def find(self, lora: Lora) -> ResolvedLora | None:
        """Return the version, None when there is no such LoRA.

        :raises CivitaiAway: when nobody can tell.
        """

    def close(self) -> None:
        """Let go of what it holds."""


class AsGiven:
    """Resolves nothing: each worker finds out for itself which version is meant."""

    def resolve(self, lora: Lora) -> ResolvedLora | None:
        """Return None."""
        return None

    def close(self) -> None:
        """Hold nothing."""


class CachedLoraVersions:
    """Answers from a table. What is missing or old is asked for in threads of its own.

    Whoever asks for what is not in the table waits for up to ``wait`` seconds; only a few may wait
    at a time, so that a slow CivitAI never holds the API's threads. What is old is given at once
    and asked for anew: when CivitAI is away, all that was resolved before goes on being given.
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

        :param fresh: how long the latest version is taken to be the latest.
        :param wait: seconds that one who asks may wait, 0 for not at all.
        :param seconds: seconds of a clock that never goes back.
        """
        self._database = database
        self._source = source
        self._clock = clock
        self._fresh = fresh
        self._wait = wait
        self._seats = threading.BoundedSemaphore(most_waiting)
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lora-versions")
        self._asked: dict[str, Future[ResolvedLora | None]] = {}
        self._guard = threading.Lock()
        self._quiet_until = float("-inf")
        self._stored = 0

    def resolve(self, lora: Lora) -> ResolvedLora | None:
        """Return the version that is meant, None when nobody can tell now or there is none."""
        asked = _key(lora)
        known, found, age = self._remembered(asked)
        if known and age < self._lasts(lora, found):
            return found
        asking = self._ask(asked, lora)
        if known or asking is None:
            return found
        return self._wait_for(asking)

    def close(self) -> None:
        """Stop asking."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._source.close()

    def _lasts(self, lora: Lora, found: ResolvedLora | None) -> timedelta:
        if found is None:
            return min(_NOT_FOUND_KEPT, self._fresh)
        return _NEVER_CHANGES if lora.is_version else self._fresh

    def _remembered(self, asked: str) -> tuple[bool, ResolvedLora | None, timedelta]:
        """Return whether it was ever found out, what was found, and how long ago."""
        wanted = select(LORA_VERSION).where(LORA_VERSION.c.asked == asked)
        with self._database.reading() as connection:
            row = connection.execute(wanted).first()
        if row is None:
            return False, None, timedelta()
        found = None if row.found is None else _as_json.validate_json(row.found)
        fetched_at: datetime = row.fetched_at
        return True, found, self._clock.now() - fetched_at

    def _ask(self, asked: str, lora: Lora) -> Future[ResolvedLora | None] | None:
        """Have it found out, unless it is being already; None when nobody is asked now."""
        with self._guard:
            if asked in self._asked:
                return self._asked[asked]
            if len(self._asked) >= _MOST_ASKED or self._seconds() < self._quiet_until:
                return None
            try:
                asking = self._pool.submit(self._find_out, asked, lora)
            except RuntimeError:
                # The process is about to end.
                return None
            self._asked[asked] = asking
        asking.add_done_callback(lambda _: self._forget(asked))
        return asking

    def _forget(self, asked: str) -> None:
        with self._guard:
            self._asked.pop(asked, None)

    def _wait_for(self, asking: Future[ResolvedLora | None]) -> ResolvedLora | None:
        if not self._wait or not self._seats.acquire(blocking=False):
            return None
        try:
            return asking.result(timeout=self._wait)
        except TakesTooLong:
            return None
        finally:
            self._seats.release()

    def _find_out(self, asked: str, lora: Lora) -> ResolvedLora | None:
        try:
            found = self._source.find(lora)
        except CivitaiAway as away:
            # Names of LoRAs are chosen by whoever asks for images: they reach no log.
            _log.warning("civitai_away", reason=str(away))
            self._quiet_until = self._seconds() + _QUIET_SECONDS
            return None
        row = {
            "asked": asked,
            "found": None if found is None else _as_json.dump_json(found).decode(),
            "fetched_at": self._clock.now(),
        }
        try:
            self._store(row)
        except SQLAlchemyError as error:
            # What was found is good all the same; somebody will ask for it again.
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
