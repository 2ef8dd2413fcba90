"""What is to be told is found without asking for more than has to be known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from projections.tracking import notifications
from projections.webhooks.due.reader import EndpointEntry
from tests.unit.projections.recorded_log import RecordedLog
from tests.unit.projections.tracked_events import (
    batched,
    cancelled,
    image_generated,
    progressed,
    sliced,
    submitted,
)
from workers.webhooks.scheduling import DeliveryPlanner


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
        RecordedLog(
            submitted(request_id),
            batched(job_id, request_id),
            progressed(job_id),
            cancelled(request_id),
        ),
        NoEndpoints(),
    )
    DeliveryPlanner(log, endpoints).of(log.records())
    assert log.streams_read == []
    assert len(endpoints.asked) <= 1


def test_what_did_not_pass_by_is_read_in_one_statement_each() -> None:
    requests, jobs = [uuid4() for _ in range(3)], [uuid4() for _ in range(3)]
    log = RecordedLog(
        *(submitted(request_id) for request_id in requests),
        *(batched(job_id, request_id) for job_id, request_id in zip(jobs, requests, strict=True)),
        *(progressed(job_id) for job_id in jobs),
    )
    planned_deliveries = DeliveryPlanner(log, NoEndpoints())
    planned_deliveries.of(log.records()[-3:])
    assert log.streams_read == [set(jobs), set(requests)]
    planned_deliveries.of(log.records()[-3:])
    assert len(log.streams_read) == 2


def test_where_nothing_is_told_nobody_is_asked() -> None:
    log, endpoints = RecordedLog(submitted(uuid4())), NoEndpoints()
    assert DeliveryPlanner(log, endpoints).of(log.records()) == []
    assert endpoints.asked == log.streams_read == []


class AllKinds:
    """Everybody has an endpoint that asks for every kind."""

    def endpoints_of(self, account_ids: Collection[UUID]) -> Mapping[UUID, Sequence[EndpointEntry]]:
        created = datetime(2026, 1, 1, tzinfo=UTC)
        return {
            each: [EndpointEntry(uuid4(), each, notifications.WEBHOOK_KINDS, None, 0, created)]
            for each in account_ids
        }


def test_each_kind_that_webhooks_can_ask_for_is_planned_from_its_event() -> None:
    request_id, job_id = uuid4(), uuid4()
    log = RecordedLog(
        submitted(request_id),
        sliced(request_id, job_id),
        batched(job_id, request_id),
        progressed(job_id),
        image_generated(job_id),
        cancelled(request_id),
    )
    planned = [
        (position, each.notification.kind, each.notification.request_id)
        for position, each in DeliveryPlanner(log, AllKinds()).of(log.records())
        if each.endpoint_id is not None
    ]
    assert planned == [
        (3, notifications.STARTED, request_id),
        (4, notifications.PROGRESS, request_id),
        (5, notifications.IMAGE, request_id),
        (6, notifications.ENDED, request_id),
    ]
    assert {kind for _, kind, _ in planned} == set(notifications.WEBHOOK_KINDS)
