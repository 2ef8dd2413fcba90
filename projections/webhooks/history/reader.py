"""Lists of all deliveries that there ever were, each with its outcome so far.

They are for people who look, and as old as the view is behind the log. What is still to be sent is
asked of :mod:`projections.webhooks.due`, which is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select, tuple_, union_all

from domain.webhooks.attempts import Problem
from domain.webhooks.backoff import AbandonReason
from domain.webhooks.delivery import DeliveryState
from domain.webhooks.notification import NotificationKind
from projections.view import ViewDatabase
from projections.webhooks.history.tables import ABANDONED, WEBHOOK_DELIVERY

DELIVERIES_A_PAGE = 50

_PORTION = 1000
_MOST_OF_ONE_REQUEST = 100_000
"""More than there ever are. Without a limit the databases would not treat the list as one of its
own, and would choose another index."""

_TABLE = WEBHOOK_DELIVERY.c
_OLDEST_FIRST = (_TABLE.given_up_at, _TABLE.position)


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery as a list shows it."""

    delivery_id: UUID
    """The ``webhook-id`` of every attempt."""
    account_id: UUID
    request_id: UUID | None
    """None for a test."""
    kind: NotificationKind
    about: UUID
    """See :class:`projections.tracking.notifications.Notification`; for a test an id of its own."""
    step: int | None
    """For progress, how far the job was; None for all else."""
    endpoint_id: UUID | None
    """None for the request's own webhook."""
    destination: UUID
    state: DeliveryState
    scheduled_at: datetime
    happened_at: datetime
    """When what it is about happened."""
    due_at: datetime | None
    """When the next attempt is due; None once it is delivered or abandoned."""
    give_up_at: datetime
    """When it is abandoned at the latest, attempted or not."""
    attempts: int
    """How many there were in all."""
    last_status: int | None
    """The HTTP status of the last attempt; None when no answer came, or before the first."""
    last_problem: Problem | None
    """Why no answer came to the last attempt."""
    last_attempt_at: datetime | None
    """When the last attempt ended."""
    last_seconds: float | None
    """How long the last attempt took."""
    given_up_because: AbandonReason | None
    given_up_at: datetime | None
    position: int
    """The position of its first event in the log."""


class DeliveryHistoryReader:
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
        """Return deliveries, the last scheduled first; None leaves a filter out.

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
            narrow = [_equal(_TABLE.request_id, request_id)]
            most = _MOST_OF_ONE_REQUEST
        else:
            owner = _equal(_TABLE.endpoint_id, endpoint_id) or _equal(_TABLE.account_id, account_id)
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
            *_equal(rows_of.account_id, account_id),
            *_equal(rows_of.endpoint_id, endpoint_id),
            *([] if since is None else [rows_of.scheduled_at >= since]),
        )
        shown = shown.order_by(rows_of.scheduled_at.desc(), rows_of.position.desc())
        with self._database.reading() as connection:
            rows = connection.execute(shown.limit(size).offset((page - 1) * size)).all()
        return [_row_from(row._asdict()) for row in rows]

    def abandoned_since(
        self,
        since: datetime,
        *,
        account_id: UUID | None = None,
        endpoint_id: UUID | None = None,
        limit: int,
    ) -> Sequence[UUID]:
        """Return deliveries that were abandoned then or later and were not resent since, the first
        abandoned first.

        :param account_id: only this account's.
        :param endpoint_id: only those for this endpoint.
        :param limit: how many at most.
        """
        wanted = _equal(_TABLE.account_id, account_id) + _equal(_TABLE.endpoint_id, endpoint_id)
        return [row[0] for row in self._abandoned([*wanted, _TABLE.given_up_at >= since], limit)]

    def all_abandoned_since(
        self, since: datetime, *, account_id: UUID | None = None, endpoint_id: UUID | None = None
    ) -> Iterator[Sequence[UUID]]:
        """Yield in portions what :meth:`abandoned_since` returns, without a limit."""
        wanted = _equal(_TABLE.account_id, account_id) + _equal(_TABLE.endpoint_id, endpoint_id)
        further: ColumnElement[bool] = _TABLE.given_up_at >= since
        while rows := self._abandoned([*wanted, further], _PORTION):
            yield [row[0] for row in rows]
            _, last_at, last_position = rows[-1]
            further = tuple_(*_OLDEST_FIRST) > (last_at, last_position)

    def _abandoned(
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


def _equal(column: ColumnElement[Any], value: UUID | None) -> list[ColumnElement[bool]]:
    return [] if value is None else [column == value]


def _newest_first(wanted: Select[Any]) -> Select[Any]:
    return wanted.order_by(_TABLE.scheduled_at.desc(), _TABLE.position.desc())


def _row_from(row: Mapping[str, Any]) -> DeliveryRow:
    problem, reason = row["last_problem"], row["given_up_because"]
    typed = {
        "kind": row["kind"],
        "state": DeliveryState(row["state"]),
        "last_problem": None if problem is None else Problem(problem),
        "given_up_because": None if reason is None else AbandonReason(reason),
    }
    return DeliveryRow(**{**row, **typed})
