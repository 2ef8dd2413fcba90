"""How events change due deliveries, destinations and endpoints."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any
from uuid import UUID, uuid5

from eventsourcing.persistence import IntegrityError
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from domain.webhooks.attempts import Outcome
from domain.webhooks.circuit import Health
from domain.webhooks.delivery import WebhookDelivery
from domain.webhooks.endpoint import WebhookEndpoint
from domain.webhooks.notification import NotificationKind
from projections.sql.bulk import Bulk
from projections.sql.rows import insert_unless_there, portions_of
from projections.sql.statements import Statement
from projections.view import RecordedEvent
from projections.webhooks.due.tables import (
    DUE_DELIVERY,
    HEADS,
    TESTS,
    WEBHOOK_DESTINATION,
    WEBHOOK_ENDPOINT,
)

_FOLLOWED = (WebhookDelivery.Event, WebhookEndpoint.Event)
_MAKES_DUE = (WebhookDelivery.Scheduled, WebhookDelivery.Resent)

_DUE = DUE_DELIVERY.c
_destinations, _due = Bulk(WEBHOOK_DESTINATION), Bulk(DUE_DELIVERY)
_KNOWN = select(WEBHOOK_DESTINATION.c.destination).where(
    WEBHOOK_DESTINATION.c.destination.in_(bindparam("some", expanding=True))
)
_LOCK = (
    select(WEBHOOK_DESTINATION)
    .where(WEBHOOK_DESTINATION.c.destination.in_(bindparam("some", expanding=True)))
    .order_by(WEBHOOK_DESTINATION.c.destination)
    .with_for_update()
)
_HEADS_OF = select(_DUE.line, _DUE.delivery_id, _DUE.place).where(
    _DUE.line.in_(bindparam("lines", expanding=True)), HEADS
)
_DEMOTE = Statement(
    update(DUE_DELIVERY).where(_DUE.delivery_id == bindparam("id")).values(is_head=False)
)
_first = DUE_DELIVERY.alias("first")
_PROMOTE = Statement(
    update(DUE_DELIVERY)
    .where(
        _DUE.delivery_id
        == select(_first.c.delivery_id)
        .where(_first.c.line == bindparam("of_line"))
        .order_by(_first.c.place)
        .limit(1)
        .scalar_subquery(),
        ~_DUE.is_head,
    )
    .values(is_head=True)
)
_AGAIN = Statement(
    update(DUE_DELIVERY)
    .where(_DUE.delivery_id == bindparam("id"))
    .values(due_at=bindparam("again_at"))
)
_SETTLED = Statement(delete(DUE_DELIVERY).where(_DUE.delivery_id == bindparam("id")))
_at_destination = _DUE.destination == bindparam("there")
_EARLIEST = Statement(
    select(
        select(func.min(_DUE.due_at))
        .where(_at_destination, HEADS, _DUE.request_id.is_not(None))
        .scalar_subquery()
        .label("of_requests"),
        select(func.min(_DUE.due_at))
        .where(_at_destination, TESTS)
        .scalar_subquery()
        .label("of_tests"),
    )
)


def apply_changes(connection: Connection, records: Sequence[RecordedEvent]) -> None:
    """Apply these events.

    :raises IntegrityError: when an event about how a destination answers comes after a later one;
        in a new transaction it gets a later position.
    """
    records = [record for record in records if isinstance(record.event, _FOLLOWED)]
    if not records:
        return
    changes = _Changes(connection, records)
    for makes_due, run in groupby(records, lambda record: isinstance(record.event, _MAKES_DUE)):
        if makes_due:
            changes.make_due(list(run))
        else:
            for record in run:
                changes.apply(record.position, record.event)
    changes.finish()


def health_in(row: Any) -> Health:
    """Return how the destination of a row has answered lately.

    :param row: by the names of the columns.
    """
    return Health(
        failures=row["failures"],
        failing_since=row["failing_since"],
        last_failed_at=row["last_failed_at"],
        proven=row["proven"],
    )


class _Changes:
    """The changes of one save, or of one portion of the log."""

    def __init__(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        """Lock every destination that these events concern."""
        self._connection = connection
        self._due = {row["delivery_id"]: row for row in _due.by_key(connection, _settled(records))}
        """Rows of deliveries that these events may settle; only columns that never change are
        read from them."""
        self._destinations = _locked(
            connection,
            {row["destination"] for row in self._due.values()} | _destinations_named(records),
        )
        self._touched: set[UUID] = set()
        self._looked_up: set[UUID] = set()
        """Destinations of which the earliest moment has to be looked up anew."""

    def make_due(self, records: Sequence[RecordedEvent]) -> None:
        """Put deliveries at the ends of their lines."""
        rows = [_due_row(record.position, record.event) for record in records]
        heads = self._heads_of([row["line"] for row in rows])
        for row in rows:
            delivery_id, place = heads.get(row["line"], (None, None))
            # On PostgreSQL a transaction that began later may have been the first to commit.
            row["is_head"] = place is None or row["place"] < place
            if row["is_head"]:
                if delivery_id is not None:
                    _DEMOTE.run(self._connection, {"id": delivery_id})
                    self._looked_up.add(row["destination"])
                heads[row["line"]] = (row["delivery_id"], row["place"])
                self._look_at(row)
            self._due[row["delivery_id"]] = row
        _due.insert(self._connection, rows)

    def apply(self, position: int, event: Any) -> None:
        """Apply an event that makes nothing due."""
        match event:
            case WebhookDelivery.Attempted():
                self._attempted(position, event)
            case WebhookDelivery.Delivered() | WebhookDelivery.Abandoned():
                self._settle(event.originator_id)
            case WebhookEndpoint.Event():
                change_endpoint(self._connection, position, event)
                if isinstance(event, WebhookEndpoint.Enabled):
                    # Enabling says that it was repaired.
                    self._set_health(event.originator_id, Health(), position)

    def finish(self) -> None:
        """Write the rows of the destinations."""
        for destination in self._looked_up:
            row = self._destinations[destination]
            ((of_requests, of_tests),) = _EARLIEST.rows(self._connection, {"there": destination})
            health = health_in(row)
            moments = [
                None if of_requests is None else health.earliest_attempt(of_requests),
                None if of_tests is None else health.earliest_attempt(of_tests, is_test=True),
            ]
            row["looks_at"] = min((at for at in moments if at is not None), default=None)
        changed = sorted(self._touched | self._looked_up)
        _destinations.put(self._connection, [self._destinations[each] for each in changed])

    def _heads_of(self, lines: Sequence[UUID]) -> dict[UUID, tuple[UUID | None, int | None]]:
        return {
            row.line: (row.delivery_id, row.place)
            for portion in portions_of(sorted(set(lines)))
            for row in self._connection.execute(_HEADS_OF, {"lines": portion})
        }

    def _look_at(self, head: dict[str, Any]) -> None:
        """Bring a destination's ``looks_at`` forward to when its new head may be sent."""
        row = self._destinations[head["destination"]]
        at = health_in(row).earliest_attempt(head["due_at"], is_test=head["request_id"] is None)
        if row["looks_at"] is None or at < row["looks_at"]:
            row["looks_at"] = at
            self._touched.add(head["destination"])

    def _attempted(self, position: int, event: WebhookDelivery.Attempted) -> None:
        due = self._due.get(event.originator_id)
        if due is None:
            # It was over before the attempt ended.
            return
        if event.again_at is not None:
            values = {"id": event.originator_id, "again_at": event.again_at}
            _AGAIN.run(self._connection, values)
        before = health_in(self._destinations[due["destination"]])
        outcome = Outcome(status=event.status, problem=event.problem)
        self._set_health(due["destination"], before.after(outcome, event.timestamp), position)

    def _set_health(self, destination: UUID, health: Health, position: int) -> None:
        row = self._destinations[destination]
        if position < row["position"]:
            # A replay of the log sees this one first.
            raise IntegrityError("a later event has changed this destination before")
        row.update(asdict(health), position=position)
        self._looked_up.add(destination)

    def _settle(self, delivery_id: UUID) -> None:
        due = self._due.pop(delivery_id, None)
        if due is not None:
            _SETTLED.run(self._connection, {"id": delivery_id})
            _PROMOTE.run(self._connection, {"of_line": due["line"]})
            self._looked_up.add(due["destination"])


def _settled(records: Sequence[RecordedEvent]) -> Collection[UUID]:
    return {
        record.event.originator_id
        for record in records
        if isinstance(record.event, WebhookDelivery.Event)
        and not isinstance(record.event, _MAKES_DUE)
    }


def _destinations_named(records: Sequence[RecordedEvent]) -> set[UUID]:
    named = set[UUID]()
    for record in records:
        match record.event:
            case WebhookDelivery.Scheduled() | WebhookDelivery.Resent():
                named.add(record.event.destination)
            case WebhookEndpoint.Enabled():
                named.add(record.event.originator_id)
    return named


def _locked(connection: Connection, destinations: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
    """Return the rows of these destinations, locked until the transaction ends.

    New ones are inserted first, then all are locked, both in one order: so there is no deadlock.
    """
    portions = list(portions_of(sorted(destinations)))
    for portion in portions:
        known = set(connection.execute(_KNOWN, {"some": portion}).scalars())
        new = [_unknown(each) for each in portion if each not in known]
        if new:
            connection.execute(insert_unless_there(connection, WEBHOOK_DESTINATION), new)
    return {
        row["destination"]: dict(row)
        for portion in portions
        for row in connection.execute(_LOCK, {"some": portion}).mappings()
    }


def _unknown(destination: UUID) -> dict[str, Any]:
    return {"destination": destination, "position": 0, "looks_at": None} | asdict(Health())


def _due_row(position: int, event: Any) -> dict[str, Any]:
    delivery_id, request_id = event.originator_id, event.request_id
    is_test = request_id is None
    return {
        "delivery_id": delivery_id,
        "destination": event.destination,
        "request_id": request_id,
        "line": delivery_id if is_test else uuid5(event.destination, str(request_id)),
        "place": position,
        "due_at": event.timestamp,
        "give_up_at": event.give_up_at,
    }


def change_endpoint(connection: Connection, position: int, event: WebhookEndpoint.Event) -> None:
    """Change the row of the endpoint to which this happened.

    :param position: the event's position in the log.
    """
    match event:
        case WebhookEndpoint.Registered():
            row = {
                "endpoint_id": event.originator_id,
                "account_id": event.account_id,
                "kinds": _listed(event.kinds),
                "disabled": None,
                "registered_at_position": position,
                "created_at": event.timestamp,
            }
            connection.execute(insert(WEBHOOK_ENDPOINT), row)
        case WebhookEndpoint.FilterChanged():
            _set(connection, event.originator_id, kinds=_listed(event.kinds))
        case WebhookEndpoint.Disabled():
            _set(connection, event.originator_id, disabled=event.reason.value)
        case WebhookEndpoint.Enabled():
            _set(connection, event.originator_id, disabled=None)
        case WebhookEndpoint.Deleted():
            connection.execute(
                delete(WEBHOOK_ENDPOINT).where(
                    WEBHOOK_ENDPOINT.c.endpoint_id == event.originator_id
                )
            )


def _set(connection: Connection, endpoint_id: UUID, **values: Any) -> None:
    this = WEBHOOK_ENDPOINT.c.endpoint_id == endpoint_id
    connection.execute(update(WEBHOOK_ENDPOINT).where(this).values(values))


def _listed(kinds: Sequence[NotificationKind]) -> str:
    return ",".join(kinds)
