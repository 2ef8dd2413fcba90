"""How events change the rows of requests' statuses."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, Table

from domain.jobs.job import Job
from domain.requests.request import Request
from projections.sql.bulk import Bulk
from projections.status.fold import Tracked, evolve
from projections.status.tables import (
    REQUEST_GENERATION,
    REQUEST_OPEN_JOB,
    REQUEST_STATUS,
    row_of,
    row_of_generation,
    tracked_from,
)
from projections.view import NotFollowing, RecordedEvent

_requests, _images, _open_jobs = map(Bulk, (REQUEST_STATUS, REQUEST_GENERATION, REQUEST_OPEN_JOB))


class StatusView:
    """Follows the requests and their jobs."""

    @property
    def name(self) -> str:
        """What operators call it."""
        return "status"

    @property
    def tables(self) -> Sequence[Table]:
        """Its tables."""
        return (REQUEST_STATUS, REQUEST_GENERATION, REQUEST_OPEN_JOB)

    def apply(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        """Count these events.

        :raises NotFollowing: when an event came without those that must stand before it.
        """
        owned = _by_request(connection, records)
        before = {
            row["request_id"]: tracked_from(row)
            for row in _requests.by_key(connection, {owner for owner, _ in owned})
        }
        after = dict(before)
        for owner, recorded in owned:
            after[owner] = evolve(after.get(owner), recorded)
        _write(connection, before, after)


def _by_request(
    connection: Connection, records: Sequence[RecordedEvent]
) -> list[tuple[UUID, RecordedEvent]]:
    """Return each event of a request or a job with the request that it belongs to."""
    events = [recorded.event for recorded in records]
    owners = {
        event.originator_id: event.request_id for event in events if isinstance(event, Job.Batched)
    }
    unknown = {
        event.originator_id
        for event in events
        if isinstance(event, Job.Event) and event.originator_id not in owners
    }
    for row in _open_jobs.by_key(connection, unknown):
        owners[row["job_id"]] = row["request_id"]
    owned: list[tuple[UUID, RecordedEvent]] = []
    for recorded in records:
        event = recorded.event
        if isinstance(event, Request.Event):
            owned.append((event.originator_id, recorded))
        elif isinstance(event, Job.Event):
            if event.originator_id not in owners:
                raise NotFollowing(f"{type(event).__qualname__} of a job that was never batched")
            owned.append((owners[event.originator_id], recorded))
    return owned


def _write(connection: Connection, before: dict[UUID, Tracked], after: dict[UUID, Tracked]) -> None:
    _requests.put(connection, [row_of(tracked) for tracked in after.values()])
    _images.insert(
        connection,
        [
            row_of_generation(owner, generation)
            for owner, tracked in after.items()
            for generation in tracked.status.generations
        ],
    )
    had = {job_id: owner for owner, tracked in before.items() for job_id in tracked.jobs}
    has = {job_id: owner for owner, tracked in after.items() for job_id in tracked.jobs}
    _open_jobs.delete(connection, had.keys() - has.keys())
    _open_jobs.insert(
        connection,
        [
            {"job_id": job_id, "request_id": owner}
            for job_id, owner in has.items()
            if job_id not in had
        ],
    )
