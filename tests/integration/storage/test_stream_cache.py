"""Remembered streams: what is known is not read again, and nothing is known that never happened."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import IntegrityError, StoredEvent

from domain.jobs.job import Job
from infrastructure.storage.event_mapper import EventMapper
from infrastructure.storage.stream_cache import StreamCache
from tests.integration.storage.event_stores import Store, open_store

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["file", "memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Store:
    return open_store(request.param, request)


class CountingMapper(EventMapper):
    """Counts what is decoded."""

    decoded = 0

    def to_domain_event(self, stored_event: StoredEvent) -> Job.Event:
        self.decoded += 1
        event = super().to_domain_event(stored_event)
        assert isinstance(event, Job.Event)
        return event


def streams_of(store: Store, mapper: EventMapper, **options: int) -> StreamCache:
    return StreamCache(mapper, store.recorder(), store.database, **options)


def failed(stream: UUID, version: int, reason: str = "") -> Job.Failed:
    fields = {"delivered": 0, "lost": 1, "reason": reason}
    return Job.Failed(stream, version, NOW, **fields)


def read(streams: StreamCache, stream: UUID) -> Sequence[DomainEventProtocol[UUID]]:
    return list(streams.get(stream))


def test_an_event_is_decoded_once(store: Store) -> None:
    mapper = CountingMapper()
    streams, stream = streams_of(store, mapper), uuid4()
    streams.put([failed(stream, 1), failed(stream, 2)])
    assert read(streams, stream) == read(streams, stream) == [failed(stream, 1), failed(stream, 2)]
    assert mapper.decoded == 2


def test_what_another_process_adds_is_read(store: Store) -> None:
    streams, others = streams_of(store, EventMapper()), streams_of(store, EventMapper())
    stream = uuid4()
    streams.put([failed(stream, 1)])
    assert len(read(streams, stream)) == 1
    others.put([failed(stream, 2, "by another")])
    assert read(streams, stream) == [failed(stream, 1), failed(stream, 2, "by another")]


def test_what_was_rolled_back_is_not_remembered(store: Store) -> None:
    streams, stream = streams_of(store, EventMapper()), uuid4()
    streams.put([failed(stream, 1)])
    with suppress(KeyboardInterrupt), store.database.transaction():
        streams.put([failed(stream, 2, "never happened")])
        assert len(read(streams, stream)) == 2
        raise KeyboardInterrupt
    assert read(streams, stream) == [failed(stream, 1)]
    streams.put([failed(stream, 2, "happened")])
    assert read(streams, stream) == [failed(stream, 1), failed(stream, 2, "happened")]


def test_what_was_committed_is_remembered(store: Store) -> None:
    mapper = CountingMapper()
    streams, stream = streams_of(store, mapper), uuid4()
    with store.database.transaction():
        streams.put([failed(stream, 1)])
        read(streams, stream)
        streams.put([failed(stream, 2)])
        read(streams, stream)
    assert len(read(streams, stream)) == 2
    assert mapper.decoded == 2


def test_a_lost_race_is_not_remembered(store: Store) -> None:
    streams, stream = streams_of(store, EventMapper()), uuid4()
    streams.put([failed(stream, 1)])
    read(streams, stream)
    with pytest.raises(IntegrityError):
        streams.put([failed(stream, 1, "too late")])
    assert read(streams, stream) == [failed(stream, 1)]


def test_memory_has_an_end(store: Store) -> None:
    mapper = CountingMapper()
    streams = streams_of(store, mapper, most_events=3)
    first, second = uuid4(), uuid4()
    for stream in (first, second):
        streams.put([failed(stream, 1), failed(stream, 2)])
        read(streams, stream)
    read(streams, second)
    assert mapper.decoded == 4
    read(streams, first)
    assert mapper.decoded == 6


def test_parts_of_a_stream_are_asked_of_the_log(store: Store) -> None:
    streams, stream = streams_of(store, EventMapper()), uuid4()
    streams.put([failed(stream, version) for version in range(1, 6)])
    read(streams, stream)
    assert [event.originator_version for event in streams.get(stream, gt=2, limit=2)] == [3, 4]
    assert [event.originator_version for event in streams.get(stream, desc=True, limit=1)] == [5]
    assert [event.originator_version for event in streams.get(stream, lte=1)] == [1]
