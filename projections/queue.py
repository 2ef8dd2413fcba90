"""The queue: what waits, who holds what until when. Exact, because it changes with the events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Uuid,
    bindparam,
    delete,
    insert,
    select,
    text,
    update,
)

from domain.job import Job
from domain.matching import Candidate
from domain.request import Request
from projections.encoding import Instant
from projections.lanes import LANE, LaneMatcher, open_lane
from projections.view import Recorded, ViewDatabase

METADATA = MetaData()

OPEN_REQUEST = Table(
    "open_request",
    METADATA,
    Column("request_id", Uuid, primary_key=True),
    Column("lane", BigInteger, nullable=False),
    Column("priority", Float, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("remaining", Integer, nullable=False),
    Column("jobs", Integer, nullable=False),
    Column("expires_at", Instant, nullable=False),
)
"""Requests that are not over. ``place`` is the position of their first event: first come, first
served. ``remaining`` images wait, ``jobs`` are at work."""

_WAITS = text("remaining > 0")

Index(
    "open_request_waiting",
    OPEN_REQUEST.c.lane,
    OPEN_REQUEST.c.priority.desc(),
    OPEN_REQUEST.c.place,
    sqlite_where=_WAITS,
    postgresql_where=_WAITS,
)
Index(
    "open_request_idle",
    OPEN_REQUEST.c.expires_at,
    sqlite_where=text("jobs = 0"),
    postgresql_where=text("jobs = 0"),
)

LEASE = Table(
    "lease",
    METADATA,
    Column("job_id", Uuid, primary_key=True),
    Column("ends_at", Instant, nullable=False, index=True),
)
"""Jobs at work and when their leases end."""

_LANES_AT_ONCE = 500
_LANES_OFFERED = 32

_head = (
    select(OPEN_REQUEST.c.request_id)
    .where(OPEN_REQUEST.c.lane == LANE.c.id, _WAITS)
    .order_by(OPEN_REQUEST.c.priority.desc(), OPEN_REQUEST.c.place)
    .limit(1)
    .correlate(LANE)
    .scalar_subquery()
)
_first = OPEN_REQUEST.alias("first")
_HEADS = (
    select(LANE.c.id, _first.c.priority, _first.c.place)
    .join_from(LANE, _first, _first.c.request_id == _head)
    .where(LANE.c.id.in_(bindparam("lanes", expanding=True)))
    .order_by(_first.c.priority.desc(), _first.c.place)
    .limit(_LANES_OFFERED)
)
_first_of_lane = (
    select(OPEN_REQUEST.c.request_id)
    .where(OPEN_REQUEST.c.lane == bindparam("claimed_lane"), _WAITS)
    .order_by(OPEN_REQUEST.c.priority.desc(), OPEN_REQUEST.c.place)
    .limit(1)
)
_CLAIM = _first_of_lane.with_for_update(skip_locked=True)
_CLAIM_PATIENTLY = _first_of_lane.with_for_update()
_BY_ID = OPEN_REQUEST.c.request_id == bindparam("id")
_SLICED = (
    update(OPEN_REQUEST)
    .where(_BY_ID)
    .values(
        remaining=OPEN_REQUEST.c.remaining - bindparam("images"),
        jobs=OPEN_REQUEST.c.jobs + 1,
        expires_at=bindparam("until"),
    )
)
_RETURNED = (
    update(OPEN_REQUEST)
    .where(_BY_ID)
    .values(
        remaining=OPEN_REQUEST.c.remaining + bindparam("images"),
        jobs=OPEN_REQUEST.c.jobs - 1,
        expires_at=bindparam("until"),
    )
)
_OVER = delete(OPEN_REQUEST).where(_BY_ID)
_JOB_OVER = delete(LEASE).where(LEASE.c.job_id == bindparam("id"))


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

    def apply(self, connection: Connection, records: Sequence[Recorded]) -> None:
        """Follow requests and leases."""
        for record in records:
            _apply(connection, record.position, record.event)

    def lanes_for(self, worker: Candidate) -> Sequence[int]:
        """Return the lanes whose first request this worker may have, the best first.

        One index probe for each lane that it may serve; how many requests wait does not matter.
        """
        with self._database.reading() as connection:
            lanes = self._lanes.matching(connection, worker)
            heads: list[tuple[float, int, int]] = []
            for start in range(0, len(lanes), _LANES_AT_ONCE):
                portion = lanes[start : start + _LANES_AT_ONCE]
                rows = connection.execute(_HEADS, {"lanes": portion})
                heads.extend((-row.priority, row.place, row.id) for row in rows)
        return [lane for _, _, lane in sorted(heads)[:_LANES_OFFERED]]

    def claim(self, lane: int, *, patiently: bool = False) -> UUID | None:
        """Claim the first request of a lane that nobody else holds, until the transaction ends."""
        claim = _CLAIM_PATIENTLY if patiently else _CLAIM
        with self._database.transaction() as connection:
            claimed: UUID | None = connection.execute(claim, {"claimed_lane": lane}).scalar()
            return claimed

    def has_waiting(self) -> bool:
        """Whether any image waits for a worker."""
        waiting = select(OPEN_REQUEST.c.lane).where(_WAITS).limit(1)
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
                "lane": open_lane(connection, event.requirements, position),
                "priority": event.priority,
                "place": position,
                "remaining": event.images,
                "jobs": 0,
                "expires_at": event.expires_at,
            }
            connection.execute(insert(OPEN_REQUEST), row)
        case Request.Sliced():
            _change(connection, _SLICED, event.originator_id, event.images, event.expires_at)
        case Request.JobReturned():
            _change(connection, _RETURNED, event.originator_id, event.lost, event.expires_at)
        case Request.Ended():
            connection.execute(_OVER, {"id": event.originator_id})
        case Job.Batched():
            row = {"job_id": event.originator_id, "ends_at": event.lease_ends_at}
            connection.execute(insert(LEASE), row)
        case Job.Ended():
            connection.execute(_JOB_OVER, {"id": event.originator_id})


def _change(
    connection: Connection, statement: Any, request_id: UUID, images: int, until: datetime
) -> None:
    connection.execute(statement, {"id": request_id, "images": images, "until": until})
