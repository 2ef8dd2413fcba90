"""What is to be told is found without asking for more than has to be known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID, uuid4

from projections.deliveries import EndpointEntry
from tests.unit.recorded_log import RecordedLog
from tests.unit.tracked_events import batched, cancelled, progressed, submitted
from workers.webhooks.tellings import Tellings


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
    Tellings(log, endpoints).of(log.records())
    assert log.streams_read == []
    assert len(endpoints.asked) <= 1


def test_what_did_not_pass_by_is_read_in_one_statement_each() -> None:
    requests, jobs = [uuid4() for _ in range(3)], [uuid4() for _ in range(3)]
    log = RecordedLog(
        *(submitted(request_id) for request_id in requests),
        *(batched(job_id, request_id) for job_id, request_id in zip(jobs, requests, strict=True)),
        *(progressed(job_id) for job_id in jobs),
    )
    tellings = Tellings(log, NoEndpoints())
    tellings.of(log.records()[-3:])
    assert log.streams_read == [set(jobs), set(requests)]
    tellings.of(log.records()[-3:])
    assert len(log.streams_read) == 2


def test_where_nothing_is_told_nobody_is_asked() -> None:
    log, endpoints = RecordedLog(submitted(uuid4())), NoEndpoints()
    assert Tellings(log, endpoints).of(log.records()) == []
    assert endpoints.asked == log.streams_read == []
