"""The webhooks: every delivery that there ever was, and what came of it so far.

What is still to be sent stands in the view of deliveries, which is exact; this one follows the log,
and is for those who look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, Table, select, tuple_, union_all

from domain.webhooks.delivery import DeliveryState, WebhookDelivery
from domain.webhooks.kinds import NotificationKind
from domain.webhooks.retrying import AbandonReason, Problem
from projections.sql.bulk import Bulk
from projections.view import NotFollowing, RecordedEvent, ViewDatabase
from projections.webhooks.delivery_tables import ABANDONED, WEBHOOK_DELIVERY

DELIVERIES_A_PAGE = 50

_PORTION = 1000
_MOST_OF_ONE_REQUEST = 100_000
"""More than there ever are. A list without a limit would be no list of its own to the databases,
which would then choose another index."""

_deliveries = Bulk(WEBHOOK_DELIVERY)
_TABLE = WEBHOOK_DELIVERY.c
_OLDEST_FIRST = (_TABLE.given_up_at, _TABLE.position)

_UNTRIED: dict[str, Any] = {
    "state": DeliveryState.DUE,
    "attempts": 0,
    "last_status": None,
    "last_problem": None,
    "last_attempt_at": None,
    "last_seconds": None,
    "given_up_because": None,
    "given_up_at": None,
}


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery as a list shows it."""

    delivery_id: UUID
    """Every try's ``webhook-id``."""
    account_id: UUID
    request_id: UUID | None
    """None for a test."""
    kind: NotificationKind
    about: UUID
    """See :class:`domain.requests.notifications.Notification`; for a test an id of its own."""
    step: int | None
    """For progress, how far the job was; None for all else."""
    endpoint_id: UUID | None
    """None for the address that the request itself named."""
    destination: UUID
    state: DeliveryState
    scheduled_at: datetime
    happened_at: datetime
    """When what it tells happened."""
    due_at: datetime | None
    """When it is to be tried; None once it is delivered or given up."""
    give_up_at: datetime
    """When its time is over, tried or not."""
    attempts: int
    """How often it was sent in all."""
    last_status: int | None
    """The HTTP status of the last try; None when no answer came, or before the first."""
    last_problem: Problem | None
    """Why no answer came to the last try."""
    last_attempt_at: datetime | None
    """When the last try ended."""
    last_seconds: float | None
    """How long the last try took."""
    given_up_because: AbandonReason | None
    given_up_at: datetime | None
    position: int
    """The place of its first event in the log."""


class WebhooksView:
    """Follows the deliveries."""

    name = "webhooks"
    tables: Sequence[Table] = (WEBHOOK_DELIVERY,)

    def apply(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        """Note what was scheduled, tried and settled."""
        told = [
            (record.position, record.event)
            for record in records
            if isinstance(record.event, WebhookDelivery.Event)
        ]
        new = {
            event.originator_id for _, event in told if isinstance(event, WebhookDelivery.Scheduled)
        }
        older = {event.originator_id for _, event in told} - new
        rows = {row["delivery_id"]: row for row in _deliveries.by_key(connection, older)}
        for position, event in told:
            if isinstance(event, WebhookDelivery.Scheduled):
                rows[event.originator_id] = _scheduled(event, position)
            elif event.originator_id in rows:
                rows[event.originator_id].update(_changes(event))
            else:
                raise NotFollowing(f"{type(event).__qualname__} of an unknown delivery")
        _deliveries.put(connection, rows.values())


def _scheduled(event: WebhookDelivery.Scheduled, position: int) -> dict[str, Any]:
    return _UNTRIED | {
        "delivery_id": event.originator_id,
        "account_id": event.account_id,
        "request_id": event.request_id,
        "kind": event.kind,
        "about": event.about,
        "step": event.step,
        "endpoint_id": event.endpoint_id,
        "destination": event.destination,
        "scheduled_at": event.timestamp,
        "happened_at": event.happened_at,
        "due_at": event.timestamp,
        "give_up_at": event.give_up_at,
        "position": position,
    }


def _changes(event: WebhookDelivery.Event) -> dict[str, Any]:
    """Return what an event that is not the first changes of a row."""
    match event:
        case WebhookDelivery.Attempted():
            return {
                "attempts": event.number,
                "last_status": event.status,
                "last_problem": event.problem,
                "last_attempt_at": event.timestamp,
                "last_seconds": event.seconds,
                "due_at": event.again_at,
            }
        case WebhookDelivery.Delivered():
            return _settled(DeliveryState.DELIVERED)
        case WebhookDelivery.Abandoned():
            return _settled(DeliveryState.ABANDONED, event.reason, event.timestamp)
        case WebhookDelivery.Resent():
            due = {"due_at": event.timestamp, "give_up_at": event.give_up_at}
            return _settled(DeliveryState.DUE) | due
        case _:
            return {}


def _settled(
    state: DeliveryState, reason: AbandonReason | None = None, at: datetime | None = None
) -> dict[str, Any]:
    return {"state": state, "due_at": None, "given_up_because": reason, "given_up_at": at}


class WebhooksReader:
    """Answers about deliveries, as far as the view has followed the log."""

    def __init__(self, database: ViewDatabase) -> None:
        """Read from the views' database."""
        self._database = database

    def page(
        self,
        *,
        account_id: UUID | None = None,
        state: DeliveryState | None = None,
        endpoint_id: UUID | None = None,
        request_id: UUID | None = None,
        since: datetime | None = None,
        page: int = 1,
        size: int = DELIVERIES_A_PAGE,
    ) -> Sequence[DeliveryRow]:
        """Return deliveries, those scheduled last first; None leaves a filter out.

        :param since: only those scheduled then or later.
        :param page: 1 for the first.
        :param size: how many a page has, at least 1.
        """
        states = tuple(DeliveryState) if state is None else (state,)
        recent = [] if since is None else [_TABLE.scheduled_at >= since]
        # Each list is read through the index of the narrowest filter, and no further than this
        # page reaches; whatever filters are left are applied to the few rows that were found. All
        # deliveries of one request, or for one endpoint, are one account's.
        if request_id is not None:
            narrow = [_those(_TABLE.request_id, request_id)]
            most = _MOST_OF_ONE_REQUEST
        else:
            owner = _those(_TABLE.endpoint_id, endpoint_id) or _those(_TABLE.account_id, account_id)
            narrow = [[*owner, *recent, _TABLE.state == each] for each in states]
            most = page * size
        lists = [
            _newest_first(select(WEBHOOK_DELIVERY).where(*wanted)).limit(most).subquery()
            for wanted in narrow
        ]
        merged = union_all(*map(select, lists)).subquery()
        rows_of = merged.c
        shown = select(merged).where(
            rows_of.state.in_(states),
            *_those(rows_of.account_id, account_id),
            *_those(rows_of.endpoint_id, endpoint_id),
            *([] if since is None else [rows_of.scheduled_at >= since]),
        )
        shown = shown.order_by(rows_of.scheduled_at.desc(), rows_of.position.desc())
        with self._database.reading() as connection:
            rows = connection.execute(shown.limit(size).offset((page - 1) * size)).all()
        return [_row_from(row._asdict()) for row in rows]

    def given_up_since(
        self,
        since: datetime,
        *,
        account_id: UUID | None = None,
        endpoint_id: UUID | None = None,
        limit: int,
    ) -> Sequence[UUID]:
        """Return deliveries that were given up then or later and were not sent again since, those
        first that were given up first.

        :param account_id: only this account's.
        :param endpoint_id: only those for this endpoint.
        :param limit: how many at most.
        """
        wanted = _those(_TABLE.account_id, account_id) + _those(_TABLE.endpoint_id, endpoint_id)
        return [row[0] for row in self._given_up([*wanted, _TABLE.given_up_at >= since], limit)]

    def all_given_up_since(
        self, since: datetime, *, account_id: UUID | None = None, endpoint_id: UUID | None = None
    ) -> Iterator[Sequence[UUID]]:
        """Yield what :meth:`given_up_since` returns, however many these are, in portions."""
        wanted = _those(_TABLE.account_id, account_id) + _those(_TABLE.endpoint_id, endpoint_id)
        further: ColumnElement[bool] = _TABLE.given_up_at >= since
        while rows := self._given_up([*wanted, further], _PORTION):
            yield [row[0] for row in rows]
            _, last_at, last_position = rows[-1]
            further = tuple_(*_OLDEST_FIRST) > (last_at, last_position)

    def _given_up(
        self, wanted: Sequence[ColumnElement[bool]], limit: int
    ) -> Sequence[tuple[UUID, datetime, int]]:
        found = (
            select(_TABLE.delivery_id, *_OLDEST_FIRST)
            .where(ABANDONED, *wanted)
            .order_by(*_OLDEST_FIRST)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [tuple(row) for row in connection.execute(found)]


def _those(column: ColumnElement[Any], value: UUID | None) -> list[ColumnElement[bool]]:
    return [] if value is None else [column == value]


def _newest_first(wanted: Select[Any]) -> Select[Any]:
    return wanted.order_by(_TABLE.scheduled_at.desc(), _TABLE.position.desc())


def _row_from(row: Mapping[str, Any]) -> DeliveryRow:
    problem, reason = row["last_problem"], row["given_up_because"]
    typed = {
        "kind": NotificationKind(row["kind"]),
        "state": DeliveryState(row["state"]),
        "last_problem": None if problem is None else Problem(problem),
        "given_up_because": None if reason is None else AbandonReason(reason),
    }
    return DeliveryRow(**{**row, **typed})
