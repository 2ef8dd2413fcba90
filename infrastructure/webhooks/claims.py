"""Claims of deliveries that are due: two senders never send one at once, nor too many anywhere.

A claim is no event: it expires by itself, so a sender that is killed keeps a delivery from the
others for no longer than that. What is due is decided by the view of what is due alone.
"""

from __future__ import annotations

import heapq
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Uuid,
    bindparam,
    delete,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite

from domain.ports import Clock
from domain.webhooks.circuit import room_for
from infrastructure.storage.database import Database
from projections.sql.encoding import Instant
from projections.sql.statements import Statement
from projections.webhooks.due.apply import health_in
from projections.webhooks.due.tables import DUE_DELIVERY, HEADS, LOOKS, TESTS, WEBHOOK_DESTINATION

_ADVISORY_LOCK = 0x636C61696D73
"""``claims`` in ASCII."""

METADATA = MetaData()

DELIVERY_CLAIM = Table(
    "delivery_claim",
    METADATA,
    Column("delivery_id", Uuid, primary_key=True),
    Column("destination", Uuid, nullable=False, index=True),
    Column("until", Instant, nullable=False, index=True),
)
"""What senders are sending, and until when. It is no view: who sends is not history."""

_CLAIM = DELIVERY_CLAIM.c
_DUE = DUE_DELIVERY.c
_THERE = WEBHOOK_DESTINATION.c
_NOW = bindparam("now", type_=Instant())
_MOST = bindparam("most", type_=Integer())

_LIVE = Statement(
    select(_CLAIM.delivery_id, _CLAIM.destination, _THERE.proven)
    .join_from(
        DELIVERY_CLAIM, WEBHOOK_DESTINATION, _THERE.destination == _CLAIM.destination, isouter=True
    )
    .where(_CLAIM.until > _NOW)
)
_LOOK = {
    proven: Statement(
        select(WEBHOOK_DESTINATION)
        .where(_THERE.proven.is_(proven), _THERE.looks_at <= _NOW, LOOKS)
        .order_by(_THERE.looks_at)
        .limit(_MOST)
    )
    for proven in (True, False)
}
_heads = (
    select(_DUE.delivery_id, _DUE.destination, _DUE.request_id)
    .where(_DUE.destination == bindparam("there"), _DUE.due_at <= _NOW)
    .order_by(_DUE.due_at, _DUE.place)
    .limit(_MOST)
)
_HEADS = Statement(_heads.where(HEADS))
_TESTS = Statement(_heads.where(TESTS))
_OVER = delete(DELIVERY_CLAIM).where(_CLAIM.until <= _NOW)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is the claimant's to send, until the claim ends."""

    delivery_id: UUID
    destination: UUID
    request_id: UUID | None
    """None for a test."""


class DeliveryClaims:
    """Hands out deliveries that are due, each to one sender at a time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Keep claims in the ledger's database, beside the view of what is due."""
        self._database = database
        self._clock = clock
        self._mine: dict[UUID, datetime] = {}
        """Until when each claim of this process holds; with another time in the database it is
        another process's."""
        self._guard = threading.Lock()
        dialect: Any = sqlite if database.is_sqlite else postgresql
        inserted = dialect.insert(DELIVERY_CLAIM)
        self._take = inserted.on_conflict_do_update(
            index_elements=["delivery_id"],
            set_={"destination": inserted.excluded.destination, "until": inserted.excluded.until},
            # One that has expired, but is not deleted yet, is in no claim's way.
            where=_CLAIM.until <= _NOW,
        ).returning(_CLAIM.delivery_id)

    def claim(self, *, slots: int, lifetime: timedelta, unproven: int) -> Sequence[Claimed]:
        """Take deliveries whose turn it is and for which there is room.

        Destinations with the fewest in flight come first, then those that have waited longest.
        The time of what is returned may be over: the sender abandons it then.

        :param slots: how many at most.
        :param lifetime: after which another process may take them.
        :param unproven: how many claims of all processes there may be at a time of destinations
            that did not answer yet, or no more.
        """
        now = self._clock.now()
        if slots < 1 or not self._is_anything_due(now):
            return ()
        with self._database.transaction() as connection:
            if not self._database.is_sqlite:
                # So that what is counted is still true when the claims are made.
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK}
                )
            chosen = _Choice(connection, now, slots, unproven).choose()
            taken = [
                each for each in chosen if self._is_taken(connection, each, now, now + lifetime)
            ]
        with self._guard:
            self._mine = {each: until for each, until in self._mine.items() if until > now}
            self._mine.update((each.delivery_id, now + lifetime) for each in taken)
        return taken

    def release(self, delivery_id: UUID) -> None:
        """Delete a claim of this process; one that expired is no error, even if another process has
        claimed the delivery since."""
        with self._guard:
            until = self._mine.pop(delivery_id, None)
        if until is None:
            return
        mine = delete(DELIVERY_CLAIM).where(
            _CLAIM.delivery_id == delivery_id, _CLAIM.until == until
        )
        with self._database.transaction() as connection:
            connection.execute(mine)

    def delete_expired(self) -> None:
        """Delete the claims that have expired."""
        with self._database.transaction() as connection:
            connection.execute(_OVER, {"now": self._clock.now()})

    def _is_anything_due(self, now: datetime) -> bool:
        with self._database.reading() as connection:
            return any(look.rows(connection, {"now": now, "most": 1}) for look in _LOOK.values())

    def _is_taken(
        self, connection: Connection, chosen: Claimed, now: datetime, until: datetime
    ) -> bool:
        row = {
            "delivery_id": chosen.delivery_id,
            "destination": chosen.destination,
            "until": until,
            "now": now,
        }
        return connection.execute(self._take, row).first() is not None


class _Choice:
    """Chooses what is claimed next."""

    def __init__(self, connection: Connection, now: datetime, slots: int, unproven: int) -> None:
        self._connection = connection
        self._now = now
        self._slots = slots
        live = _LIVE.rows(connection, {"now": now})
        self._claimed = {delivery_id for delivery_id, _, _ in live}
        self._in_flight = Counter(destination for _, destination, _ in live)
        self._unproven = unproven - sum(1 for _, _, proven in live if not proven)

    def choose(self) -> list[Claimed]:
        """Return no more than there are slots for."""
        chosen: list[Claimed] = []
        candidates = self._candidates()
        heads: dict[UUID, Iterator[Claimed]] = {}
        while candidates and len(chosen) < self._slots:
            in_flight, looks_at, destination, row = heapq.heappop(candidates)
            if not row["proven"] and self._unproven < 1:
                continue
            if destination not in heads:
                heads[destination] = iter(self._heads(row))
            head = next(heads[destination], None)
            if head is None:
                continue
            chosen.append(head)
            self._unproven -= not row["proven"]
            heapq.heappush(candidates, (in_flight + 1, looks_at, destination, row))
        return chosen

    def _candidates(self) -> list[tuple[int, datetime, UUID, dict[str, Any]]]:
        """Return destinations where something is due, as a heap.

        One with nothing in flight has room: with as many more as there are claims, enough of these
        are among them.
        """
        found = []
        for proven, slots in ((True, self._slots), (False, min(self._slots, self._unproven))):
            if slots > 0:
                values = {"now": self._now, "most": slots + len(self._claimed)}
                found += [_named(row) for row in _LOOK[proven].rows(self._connection, values)]
        heap = [
            (self._in_flight[row["destination"]], row["looks_at"], row["destination"], row)
            for row in found
        ]
        heapq.heapify(heap)
        return heap

    def _heads(self, row: dict[str, Any]) -> list[Claimed]:
        """Return what may be claimed of a destination, as much as there is room for."""
        destination, health = row["destination"], health_in(row)
        in_flight = self._in_flight[destination]
        room = room_for(health, in_flight, self._now)
        statement = _HEADS
        if not room:
            room = room_for(health, in_flight, self._now, is_test=True)
            statement = _TESTS
        if not room:
            return []
        values = {"there": destination, "now": self._now, "most": room + in_flight}
        rows = statement.rows(self._connection, values)
        free = [Claimed(*each) for each in rows if each[0] not in self._claimed]
        return free[:room]


def _named(row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(WEBHOOK_DESTINATION.c.keys(), row, strict=True))
