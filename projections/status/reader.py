"""The status of each request: a follower keeps it, a reader adds what the follower has not seen.

A row carries the versions of the streams that it has counted. A reader asks the log for what came
after them, so an answer is exact for everything committed before the question, whether the
follower is quick, late or dead.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import bindparam, select

from domain.requests.request import Request
from projections.sql.statements import Statement
from projections.status.fold import Generation, RequestStatus, Tracked, evolve_all
from projections.status.tables import (
    REQUEST_GENERATION,
    REQUEST_STATUS,
    generation_from,
    tracked_from,
)
from projections.view import Log, ViewDatabase

_STATUS = Statement(
    select(REQUEST_STATUS).where(REQUEST_STATUS.c.request_id == bindparam("request"))
)


_GENERATIONS = (
    select(REQUEST_GENERATION)
    .where(REQUEST_GENERATION.c.request_id == bindparam("request"))
    .order_by(REQUEST_GENERATION.c.position)
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
