"""The queue: waiting requests and running leases. Exact, because it changes with the events."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, bindparam, delete, func, select, text, update

from domain.jobs.job import Job
from domain.jobs.queue import Offer
from domain.requests.request import Request
from domain.workers.matching import Candidate, as_preferred
from projections.queue.lanes import LANE, LaneMatcher, open_lane
from projections.queue.order import Head, claim_first, read_heads
from projections.queue.tables import LEASE, OPEN_REQUEST, WAITS
from projections.sql.bulk import Bulk
from projections.sql.statements import Statement
from projections.view import RecordedEvent, ViewDatabase

_LANES_AT_ONCE = 500

_BY_ID = OPEN_REQUEST.c.request_id == bindparam("id")
_requests, _leases = map(Bulk, (OPEN_REQUEST, LEASE))
_SLICED = Statement(
    update(OPEN_REQUEST)
    .where(_BY_ID)
    .values(
        remaining=OPEN_REQUEST.c.remaining - bindparam("images"),
        jobs=OPEN_REQUEST.c.jobs + 1,
        expires_at=bindparam("until"),
    )
)
_RETURNED = Statement(
    update(OPEN_REQUEST)
    .where(_BY_ID)
    .values(
        remaining=OPEN_REQUEST.c.remaining + bindparam("images"),
        jobs=OPEN_REQUEST.c.jobs - 1,
        expires_at=bindparam("until"),
    )
)
_OVER = Statement(delete(OPEN_REQUEST).where(_BY_ID))
_RENEWED = Statement(
    update(LEASE).where(LEASE.c.job_id == bindparam("id")).values(ends_at=bindparam("until"))
)
_JOB_OVER = Statement(delete(LEASE).where(LEASE.c.job_id == bindparam("id")))


class Queue:
    """The waiting queue, as a view of the log and as the ledger's port to it."""

    name = "queue"
    tables: Sequence[Table] = (LANE, OPEN_REQUEST, LEASE)

    def __init__(self, database: ViewDatabase, horizon: Callable[[], int]) -> None:
        """Keep the queue in the database that holds the events.

        :param horizon: the position below which the log is final.
        """
        self._database = database
        self._lanes = LaneMatcher(horizon)

    def apply(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        """Follow requests and leases."""
        for record in records:
            _apply(connection, record.position, record.event)

    def lanes_for(
        self,
        worker: Candidate,
        *,
        preferred: Collection[UUID] = (),
        only_preferred: bool = False,
        excluding: Collection[UUID] = (),
    ) -> Sequence[Offer]:
        """Return where something waits that this worker may have, the best first.

        One index probe for each lane that it may serve, and one for each of the accounts that come
        first (with one more for each lane in which these wait), as a rule in one statement; how
        many requests wait does not matter.
        """
        with self._database.reading() as connection:
            lanes = self._lanes.matching(connection, worker)
            portions = [
                [] if only_preferred else lanes[start : start + _LANES_AT_ONCE]
                for start in range(0, 1 if only_preferred else max(1, len(lanes)), _LANES_AT_ONCE)
            ]
            heads = read_heads(connection, portions[0], preferred, excluding)
            for portion in portions[1:]:
                heads.extend(read_heads(connection, portion, (), excluding))
        for_preferred = as_preferred(worker)
        kept = [
            head
            for head in heads
            if head.account_id is None or self._lanes.is_for(for_preferred, head.lane)
        ]
        return [self._offer(head) for head in sorted(kept, key=attrgetter("rank"))]

    def _offer(self, head: Head) -> Offer:
        return Offer(
            head.lane,
            head.account_id,
            models=self._lanes.models_of(head.lane),
            requester_id=head.requester_id,
            priority=head.priority,
            waiting_since=head.waiting_since,
        )

    def claim(
        self, offer: Offer, *, wait: bool = False, excluding: Collection[UUID] = ()
    ) -> UUID | None:
        """Claim the first request there that no other transaction holds, until this one ends."""
        with self._database.transaction() as connection:
            return claim_first(connection, offer, wait=wait, excluding=excluding)

    def waiting_among(self, request_ids: Collection[UUID]) -> int:
        """Return how many of these requests wait for a worker."""
        counted = select(func.count()).where(OPEN_REQUEST.c.request_id.in_(request_ids), WAITS)
        with self._database.reading() as connection:
            return connection.execute(counted).scalar_one()

    def has_waiting(self) -> bool:
        """Whether any image waits for a worker."""
        waiting = select(OPEN_REQUEST.c.lane).where(WAITS).limit(1)
        with self._database.reading() as connection:
            return connection.execute(waiting).first() is not None

    def due_leases(self, now: datetime, limit: int) -> Sequence[UUID]:
        """Return jobs whose leases have ended, the longest overdue first."""
        due = (
            select(LEASE.c.job_id)
            .where(LEASE.c.ends_at <= now)
            .order_by(LEASE.c.ends_at)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return connection.execute(due).scalars().all()

    def due_requests(self, now: datetime, limit: int) -> Sequence[UUID]:
        """Return requests to which nothing happened for too long, the longest overdue first."""
        due = (
            select(OPEN_REQUEST.c.request_id)
            .where(OPEN_REQUEST.c.expires_at <= now, text("jobs = 0"))
            .order_by(OPEN_REQUEST.c.expires_at)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return connection.execute(due).scalars().all()


def _apply(connection: Connection, position: int, event: Any) -> None:
    match event:
        case Request.Submitted():
            row = {
                "request_id": event.originator_id,
                "account_id": event.account_id,
                "lane": open_lane(connection, event.requirements, position),
                "priority": event.priority,
                "place": position,
                "remaining": event.images,
                "jobs": 0,
                "expires_at": event.expires_at,
                "waiting_since": event.timestamp,
            }
            _requests.insert(connection, [row])
        case Request.Sliced():
            _change(connection, _SLICED, event.originator_id, event.images, event.expires_at)
        case Request.JobReturned():
            _change(connection, _RETURNED, event.originator_id, event.lost, event.expires_at)
        case Request.Ended():
            _OVER.run(connection, {"id": event.originator_id})
        case Job.Batched():
            row = {"job_id": event.originator_id, "ends_at": event.lease_ends_at}
            _leases.insert(connection, [row])
        case Job.LeaseRenewed():
            values = {"id": event.originator_id, "until": event.lease_ends_at}
            _RENEWED.run(connection, values)
        case Job.Ended():
            _JOB_OVER.run(connection, {"id": event.originator_id})


def _change(
    connection: Connection, statement: Statement, request_id: UUID, images: int, until: datetime
) -> None:
    statement.run(connection, {"id": request_id, "images": images, "until": until})
