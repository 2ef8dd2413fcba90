"""What is to be told is found without asking for more than has to be known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID, uuid4

from eventsourcing.domain import Aggregate

from projections.view import RecordedEvent
from projections.webhooks.due.reader import EndpointEntry
from tests.unit.tracked_events import batched, cancelled, progressed, submitted
from workers.webhooks.planner import DeliveryPlanner


class Streams:
    """A log of a few streams that notes which of them are read."""

    def __init__(self, *events: Aggregate.Event) -> None:
        self.records = [RecordedEvent(place, event) for place, event in enumerate(events, 1)]
        self.read: list[set[UUID]] = []

    def after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        return self.records[position : position + limit]

    committed_after = after

    def tails(self, versions: Mapping[UUID, int]) -> Sequence[RecordedEvent]:
        self.read.append(set(versions))
        return [record for record in self.records if record.event.originator_id in versions]

    def last_position(self) -> int:
        return len(self.records)


class NoEndpoints:
    """Nobody has one; it notes who is asked for."""

    def __init__(self) -> None:
        self.asked: list[set[UUID]] = []

    def endpoints_of(self, account_ids: Collection[UUID]) -> Mapping[UUID, Sequence[EndpointEntry]]:
        self.asked.append(set(account_ids))
        return {}


def test_what_passed_by_is_not_read_again() -> None:
    request_id, job_id = uuid4(), uuid4()
    log, endpoints = (
        Streams(
            submitted(request_id),
            batched(job_id, request_id),
            progressed(job_id),
            cancelled(request_id),
        ),
        NoEndpoints(),
    )
    DeliveryPlanner(log, endpoints).of(log.records)
    assert log.read == []
    assert len(endpoints.asked) <= 1


def test_what_did_not_pass_by_is_read_in_one_statement_each() -> None:
    requests, jobs = [uuid4() for _ in range(3)], [uuid4() for _ in range(3)]
    log = Streams(
        *(submitted(request_id) for request_id in requests),
        *(batched(job_id, request_id) for job_id, request_id in zip(jobs, requests, strict=True)),
        *(progressed(job_id) for job_id in jobs),
    )
    planned_deliveries = DeliveryPlanner(log, NoEndpoints())
    planned_deliveries.of(log.records[-3:])
    assert log.read == [set(jobs), set(requests)]
    planned_deliveries.of(log.records[-3:])
    assert len(log.read) == 2


def test_where_nothing_is_told_nobody_is_asked() -> None:
    log, endpoints = Streams(submitted(uuid4())), NoEndpoints()
    assert DeliveryPlanner(log, endpoints).of(log.records) == []
    assert endpoints.asked == log.read == []
