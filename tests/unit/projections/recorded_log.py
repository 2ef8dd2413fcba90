"""The real log, on a database in memory, for tests that count how it is read."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from domain.jobs.job import Job
from domain.requests.request import Request
from infrastructure.storage.event_log import EventLog
from infrastructure.storage.event_mapper import EventMapper
from infrastructure.storage.event_store import EventRecorder
from projections.view import RecordedEvent
from tests.prepared import prepared


class RecordedLog(EventLog):
    """A log to which events are added as they are, each as the next of its stream."""

    def __init__(self, *events: Request.Event | Job.Event) -> None:
        database = prepared("sqlite://")
        weakref.finalize(self, database.close)
        self._events, self._mapping = EventRecorder(database), EventMapper()
        super().__init__(self._events, self._mapping)
        self._versions: Counter[UUID] = Counter()
        self.reads = 0
        """How often somebody asked for what follows."""
        self.streams_read: list[set[UUID]] = []
        """The streams of each question for some streams alone."""
        self.before_tails: Callable[[], None] = lambda: None
        """Called when such a question was answered, before whoever asked has the answer."""
        self.add(*events)

    def add(self, *events: Request.Event | Job.Event) -> None:
        """Append events, in one transaction."""
        stored = []
        for event in events:
            self._versions[event.originator_id] += 1
            version = self._versions[event.originator_id]
            stored.append(replace(self._mapping.to_stored_event(event), originator_version=version))
        self._events.insert_events(stored)

    def after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        """Return what follows, and count the question."""
        self.reads += 1
        return super().after(position, limit)

    def tails(self, versions: Mapping[UUID, int]) -> Sequence[RecordedEvent]:
        """Return the events of these streams, and note the question."""
        self.streams_read.append(set(versions))
        found = super().tails(versions)
        self.before_tails()
        return found

    def records(self) -> Sequence[RecordedEvent]:
        """Return all there is, without counting it."""
        return super().after(0, 10_000)
