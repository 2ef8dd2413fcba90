"""The status of each request: a follower keeps it, a reader adds what the follower has not seen.

A row carries the versions of the streams that it has counted. A reader asks the log for what came
after them, so an answer is exact for everything committed before the question, whether the
follower is quick, late or dead.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, Table, bindparam, select

from domain.jobs.job import Job
from domain.requests.request import Request
from projections.sql.bulk import Bulk
from projections.sql.statements import Statement
from projections.status.fold import Generation, RequestStatus, Tracked, evolve, evolve_all
from projections.status.tables import (
    REQUEST_GENERATION,
    REQUEST_OPEN_JOB,
    REQUEST_STATUS,
    generation_from,
    row_of,
    row_of_generation,
    tracked_from,
)
from projections.view import Log, NotFollowing, RecordedEvent, ViewDatabase

__all__ = ["Generation", "RequestStatus", "StatusReader", "StatusView"]

_requests, _images, _open_jobs = map(Bulk, (REQUEST_STATUS, REQUEST_GENERATION, REQUEST_OPEN_JOB))
_STATUS = Statement(
    select(REQUEST_STATUS).where(REQUEST_STATUS.c.request_id == bindparam("request"))
)
_GENERATIONS = (
    select(REQUEST_GENERATION)
    .where(REQUEST_GENERATION.c.request_id == bindparam("request"))
    .order_by(REQUEST_GENERATION.c.position)
)


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


class StatusReader:
    """Answers for one request at a time, exactly, at the same cost whatever waits."""

    def __init__(self, database: ViewDatabase, log: Log) -> None:
        """Read rows from the views' database and what they lack from the log."""
        self._database = database
        self._log = log

    def check(self, request_id: UUID) -> RequestStatus | None:
        """Return where a request stands, without its images; None when there is no such request."""
        with self._database.reading() as connection:
            row = _STATUS.first(connection, {"request": request_id})
        tracked = self._caught_up(request_id, None if row is None else tracked_from(row))
        return None if tracked is None else tracked.with_generations(())

    def status(self, request_id: UUID) -> RequestStatus | None:
        """Return where a request stands, with its images; None when there is no such request."""
        with self._database.reading() as connection:
            row = _STATUS.first(connection, {"request": request_id})
            images = connection.execute(_GENERATIONS, {"request": request_id}).all()
        tracked = self._caught_up(request_id, None if row is None else tracked_from(row))
        if tracked is None:
            return None
        # The follower may have moved between the two reads: then an image is in both, and is one.
        seen = {row.image_id: generation_from(row) for row in images}
        for generation in tracked.status.generations:
            seen.setdefault(generation.image_id, generation)
        return tracked.with_generations(tuple(sorted(seen.values(), key=_position)))

    def _caught_up(self, request_id: UUID, tracked: Tracked | None) -> Tracked | None:
        versions = {request_id: 0} if tracked is None else tracked.versions
        tail = self._log.tails(versions)
        if tracked is None and not (tail and isinstance(tail[0].event, Request.Submitted)):
            return None
        tracked = evolve_all(tracked, tail)
        assert tracked is not None
        sliced = {job_id: 0 for job_id in tracked.jobs if job_id not in versions}
        return evolve_all(tracked, self._log.tails(sliced)) if sliced else tracked


def _position(generation: Generation) -> int:
    return generation.position
