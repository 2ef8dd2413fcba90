"""The inline view of due deliveries, and its queries.

It is exact, because it changes in the transaction of the events. Each answer is one statement,
whose cost does not grow with what is due.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Row, Table, func, select

from domain.webhooks.circuit import Health
from domain.webhooks.endpoint import DisableReason
from domain.webhooks.notification import NotificationKind
from projections.sql.rows import portions_of
from projections.view import RecordedEvent, ViewDatabase
from projections.webhooks.due.apply import apply_changes, health_in
from projections.webhooks.due.tables import (
    DUE_DELIVERY,
    LOOKS,
    WEBHOOK_DESTINATION,
    WEBHOOK_ENDPOINT,
)


@dataclass(frozen=True, slots=True)
class EndpointEntry:
    """An account's endpoint, as the scheduling of deliveries sees it."""

    endpoint_id: UUID
    account_id: UUID
    kinds: tuple[NotificationKind, ...]
    """Which notifications go there."""
    disabled: DisableReason | None
    """Why nothing is sent there; None while something is."""
    registered_at_position: int
    """The position of its first event: nothing that happened before is sent there."""
    created_at: datetime


class DueDeliveries:
    """Deliveries that are due, endpoints, and how destinations answer."""

    name = "deliveries"
    # A change of deliveries locks a destination first: so does a rebuild.
    tables: Sequence[Table] = (WEBHOOK_DESTINATION, DUE_DELIVERY, WEBHOOK_ENDPOINT)

    def __init__(self, database: ViewDatabase) -> None:
        """Keep them in the database that holds the events."""
        self._database = database

    def apply(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        """Follow endpoints and deliveries.

        :raises IntegrityError: when two attempts at one destination ended at once and this one has
            the earlier position in the log, but came later: a lost race like any other.
        """
        apply_changes(connection, records)

    def endpoints_of(self, account_ids: Collection[UUID]) -> Mapping[UUID, Sequence[EndpointEntry]]:
        """Return the endpoints of these accounts that were not deleted, the first registered
        first; an account without any is left out."""
        found: dict[UUID, list[EndpointEntry]] = {}
        with self._database.reading() as connection:
            for portion in portions_of(account_ids):
                theirs = (
                    select(WEBHOOK_ENDPOINT)
                    .where(WEBHOOK_ENDPOINT.c.account_id.in_(portion))
                    .order_by(WEBHOOK_ENDPOINT.c.registered_at_position)
                )
                for row in connection.execute(theirs):
                    found.setdefault(row.account_id, []).append(_entry(row))
        return found

    def count_of_endpoints(self, account_id: UUID) -> int:
        """Return how many endpoints an account has, disabled ones among them."""
        counted = select(func.count()).where(WEBHOOK_ENDPOINT.c.account_id == account_id)
        with self._database.reading() as connection:
            return connection.execute(counted).scalar_one()

    def health(self, destination: UUID) -> Health:
        """Return how a destination has answered lately; one without attempts is unknown."""
        there = select(WEBHOOK_DESTINATION).where(WEBHOOK_DESTINATION.c.destination == destination)
        with self._database.reading() as connection:
            row = connection.execute(there).mappings().first()
        return Health() if row is None else health_in(row)

    def next_look(self, after: datetime) -> datetime | None:
        """Return the earliest moment after this one from which a further delivery may be sent;
        None when there is none.

        What may be sent already is left out, be it claimed or waiting for room: the sender looks
        for it again whenever an attempt ends.
        """
        moments = [
            select(WEBHOOK_DESTINATION.c.looks_at)
            .where(
                WEBHOOK_DESTINATION.c.proven.is_(proven),
                WEBHOOK_DESTINATION.c.looks_at > after,
                LOOKS,
            )
            .order_by(WEBHOOK_DESTINATION.c.looks_at)
            .limit(1)
            .scalar_subquery()
            for proven in (True, False)
        ]
        with self._database.reading() as connection:
            row = connection.execute(select(*moments)).one()
        return min((at for at in row if at is not None), default=None)

    def late(self, now: datetime, limit: int) -> Sequence[UUID]:
        """Return deliveries that are due and whose time is over, the longest overdue first."""
        over = (
            select(DUE_DELIVERY.c.delivery_id)
            .where(DUE_DELIVERY.c.give_up_at <= now)
            .order_by(DUE_DELIVERY.c.give_up_at, DUE_DELIVERY.c.place)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return connection.execute(over).scalars().all()


def _entry(row: Row[tuple[object, ...]]) -> EndpointEntry:
    return EndpointEntry(
        endpoint_id=row.endpoint_id,
        account_id=row.account_id,
        kinds=tuple(NotificationKind(kind) for kind in row.kinds.split(",") if kind),
        disabled=None if row.disabled is None else DisableReason(row.disabled),
        registered_at_position=row.registered_at_position,
        created_at=row.created_at,
    )
