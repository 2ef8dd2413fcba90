"""The order of service: what a worker is offered first, and how its first request is claimed.

Favourites (the worker's own account, and those that it names) come before all others; then the
higher priority, then who came first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Uuid,
    bindparam,
    cast,
    func,
    null,
    select,
    union_all,
)

from domain.jobs.queue import Offer
from projections.queue.lanes import LANE
from projections.queue.tables import OPEN_REQUEST, WAITS
from projections.sql.statements import Statement

_LANES_OFFERED = 32
_PREFERRED_LANES_OFFERED = 500

_BY_RANK = (OPEN_REQUEST.c.priority.desc(), OPEN_REQUEST.c.place)

_NOT_EXCLUDED = OPEN_REQUEST.c.request_id.not_in(bindparam("excluding", expanding=True))


@dataclass(frozen=True, slots=True)
class Head:
    """The first request of a lane, or the first of an account in a lane."""

    account_id: UUID | None
    """Set where only the requests of this account, which comes first, were looked at."""
    lane: int
    requester_id: UUID
    """The account of the request."""
    priority: float
    place: int
    waiting_since: datetime

    @property
    def rank(self) -> tuple[bool, float, int]:
        """What heads are sorted by, the best first."""
        return (self.account_id is None, -self.priority, self.place)


def read_heads(
    connection: Connection,
    lanes: Sequence[int],
    preferred: Collection[UUID],
    excluding: Collection[UUID] = (),
) -> list[Head]:
    """Return the first requests of these lanes, and those of these accounts in any lane.

    Of the lanes at most 32 come back, the best ones; of the accounts' at most 500.

    :param excluding: requests that are left out, a few hundred at most.
    """
    if not lanes and not preferred:
        return []
    values: dict[str, Any] = {_account(i): account for i, account in enumerate(preferred)}
    if lanes:
        values["lanes"] = lanes
    if excluding:
        values["excluding"] = excluding
    statement = _statement(bool(lanes), len(preferred), bool(excluding))
    rows = connection.execute(statement, values)
    return [Head(*row) for row in rows]


def claim_first(
    connection: Connection, offer: Offer, *, wait: bool, excluding: Collection[UUID]
) -> UUID | None:
    """Lock and return the first request of an offer that is not held, if there is one.

    :param wait: whether to wait for one that is held.
    """
    values: dict[str, Any] = {"claimed_lane": offer.lane}
    if offer.account_id is not None:
        values["account"] = offer.account_id
    if excluding:
        values["excluding"] = excluding
    of_account = offer.account_id is not None
    if excluding:
        claim = _claim(of_account, wait).where(_NOT_EXCLUDED)
        claimed: UUID | None = connection.execute(claim, values).scalar()
        return claimed
    row = _plain_claim(of_account, wait).first(connection, values)
    return row["request_id"] if row else None


@lru_cache
def _plain_claim(of_account: bool, wait: bool) -> Statement:
    return Statement(_claim(of_account, wait))


@lru_cache
def _claim(of_account: bool, wait: bool) -> Select[Any]:
    waiting = select(OPEN_REQUEST.c.request_id).where(
        OPEN_REQUEST.c.lane == bindparam("claimed_lane"), WAITS
    )
    if of_account:
        waiting = waiting.where(OPEN_REQUEST.c.account_id == bindparam("account"))
    return waiting.order_by(*_BY_RANK).limit(1).with_for_update(skip_locked=not wait)


@lru_cache
def _statement(with_lanes: bool, preferred: int, excluding: bool) -> Any:
    lane_heads = _lane_heads(excluding)
    if not preferred:
        return lane_heads
    own = _heads_of_preferred(preferred, excluding)
    if not with_lanes:
        return own
    # Both in one statement: a worker whose own account asks for nothing pays no trip for that.
    heads, own_heads = lane_heads.subquery("heads"), own.subquery("own_heads")
    return union_all(select(heads), select(own_heads))


def _lane_heads(excluding: bool) -> Select[Any]:
    head = _first_waiting(excluding).where(OPEN_REQUEST.c.lane == LANE.c.id).correlate(LANE)
    first = OPEN_REQUEST.alias("first")
    return (
        select(
            cast(null(), Uuid).label("account_id"),
            LANE.c.id.label("lane"),
            *_facts_of(first),
        )
        .join_from(LANE, first, first.c.request_id == head.scalar_subquery())
        .where(LANE.c.id.in_(bindparam("lanes", expanding=True)))
        .order_by(first.c.priority.desc(), first.c.place)
        .limit(_LANES_OFFERED)
    )


def _facts_of(request: FromClause) -> Sequence[ColumnElement[Any]]:
    """Return the columns of a head about its request, in the order of its fields."""
    columns = request.c
    return (
        columns.account_id.label("requester_id"),
        columns.priority,
        columns.place,
        columns.waiting_since,
    )


def _first_waiting(excluding: bool) -> Select[Any]:
    """Return a query for the first waiting request; callers add conditions."""
    first = select(OPEN_REQUEST.c.request_id).where(WAITS).order_by(*_BY_RANK).limit(1)
    return first.where(_NOT_EXCLUDED) if excluding else first


def _heads_of_preferred(how_many: int, excluding: bool) -> Select[Any]:
    """Return the heads of so many accounts, hopping from one lane of theirs to the next."""
    bases = (
        select(account.label("account_id"), _next_lane(account).label("lane"))
        for account in (bindparam(_account(i), type_=Uuid()) for i in range(how_many))
    )
    hops = select(union_all(*bases).subquery("starts")).cte("hops", recursive=True)
    hops = hops.union_all(
        select(hops.c.account_id, _next_lane(hops.c.account_id, after=hops.c.lane)).where(
            hops.c.lane.is_not(None)
        )
    )
    of_account = OPEN_REQUEST.c.account_id == hops.c.account_id
    in_lane = OPEN_REQUEST.c.lane == hops.c.lane
    head = _first_waiting(excluding).where(of_account, in_lane).correlate(hops).scalar_subquery()
    found = OPEN_REQUEST.alias("found")
    return (
        select(hops.c.account_id, hops.c.lane, *_facts_of(found))
        .join_from(hops, found, found.c.request_id == head)
        .where(hops.c.lane.is_not(None))
        .order_by(found.c.priority.desc(), found.c.place)
        .limit(_PREFERRED_LANES_OFFERED)
    )


def _next_lane(account: Any, after: Any = None) -> Any:
    lanes = OPEN_REQUEST.alias("lanes")
    following = select(func.min(lanes.c.lane)).where(lanes.c.account_id == account, WAITS)
    if after is not None:
        following = following.where(lanes.c.lane > after)
    return following.scalar_subquery()


def _account(number: int) -> str:
    return f"account_{number}"
