"""A cache of streams: only events that were added since are read and decoded.

An event never changes, so the cache cannot be stale; a stream can only be longer than its cached
part, and each load asks the log for the rest. Jobs and requests are loaded by most commands,
again and again while their images come in, and decoding a whole stream each time would cost more
than all else that a command does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from cachetools import LRUCache
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import EventStore, Mapper

from infrastructure.storage.database import Database
from infrastructure.storage.event_store import EventRecorder

_MAX_EVENTS = 50_000
_READ_HERE = "streams read in this transaction"

Events = tuple[DomainEventProtocol[UUID], ...]


class StreamCache(EventStore[UUID]):
    """The events of streams, decoded once in each process; thread-safe.

    What a transaction reads may be its own, or on SQLite of others that share its commit: it is
    cached only once that has been committed.

    :param most_events: events kept in memory; the streams that were read last stay.
    """

    def __init__(
        self,
        mapper: Mapper[UUID],
        recorder: EventRecorder,
        database: Database,
        *,
        most_events: int = _MAX_EVENTS,
    ) -> None:
        super().__init__(mapper, recorder)
        self._database = database
        # By the number of each id: the cache hashes its keys several times, and a UUID is slow.
        self._streams: LRUCache[int, Events] = LRUCache(most_events, getsizeof=len)
        self._guard = threading.Lock()

    def get(
        self,
        originator_id: UUID,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Iterator[DomainEventProtocol[UUID]]:
        """Return events of one stream, of a whole one without decoding again what is known."""
        if gt is not None or lte is not None or desc or limit is not None:
            return super().get(originator_id, gt=gt, lte=lte, desc=desc, limit=limit)
        known = self._known(originator_id)
        after = known[-1].originator_version if known else None
        added = tuple(super().get(originator_id, gt=after))
        events = known + added
        if added:
            self._cache(originator_id, events)
        return iter(events)

    def _known(self, stream: UUID) -> Events:
        if self._database.in_transaction:
            read_here: Events | None = self._read_here().get(stream)
            if read_here is not None:
                return read_here
        with self._guard:
            known: Events = self._streams.get(stream.int, ())
            return known

    def _cache(self, stream: UUID, events: Events) -> None:
        if self._database.in_transaction:
            self._read_here()[stream] = events
        else:
            self._keep({stream: events})

    def _read_here(self) -> dict[UUID, Events]:
        notes: dict[str, Any] = self._database.transaction_notes
        if _READ_HERE not in notes:
            read: dict[UUID, Events] = {}
            notes[_READ_HERE] = read
            self._database.after_commit(lambda: self._keep(read))
        found: dict[UUID, Events] = notes[_READ_HERE]
        return found

    def _keep(self, read: dict[UUID, Events]) -> None:
        with self._guard:
            for stream, events in read.items():
                # Another thread may have read more of it meanwhile.
                longest = max(events, self._streams.get(stream.int, ()), key=len)
                if len(longest) <= self._streams.maxsize:
                    self._streams[stream.int] = longest
                else:
                    self._streams.pop(stream.int, None)
