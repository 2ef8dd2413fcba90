"""Scheduling: for each notification and each webhook that wants it, a delivery is scheduled.

A reaction: it follows the final log as a view does, and what it writes are events. Its position is
kept in the ledger's own database and moves in the transaction of those events, so after a crash
both are there or neither. Where there is nothing to schedule the position is kept in memory for a
while: to read some events once more costs less than a transaction for each look.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from eventsourcing.domain import Aggregate

from domain.accounts.account import ANONYMOUS_ID
from domain.jobs.job import Job
from domain.ledger.webhooks import PlannedDelivery
from domain.requests.request import Request
from domain.webhooks.notification import Notification
from domain.webhooks.webhook import Webhook
from projections.following.positions import REACTION_POSITIONS
from projections.tracking.notifications import WEBHOOK_KINDS, notification_of
from projections.view import Log, RecordedEvent, ViewDatabase
from projections.webhooks.due.reader import EndpointEntry

NAME = "webhooks"
"""Under which its position is kept."""

LEAST_REST_SECONDS = 0.02
"""Between a look that found something and the next one."""

_MOST_AT_ONCE = 100
"""After so many deliveries a transaction ends: others want to write, too."""
_MOST_UNSTORED = 5_000
"""Events that may have to be read once more after a restart."""
_MOST_REMEMBERED = 50_000
"""Facts of streams; what was forgotten is read from the log."""

_Fact = TypeVar("_Fact")


class Endpoints(Protocol):
    """The accounts' endpoints."""

    def endpoints_of(self, account_ids: Collection[UUID]) -> Mapping[UUID, Sequence[EndpointEntry]]:
        """Return the endpoints of these accounts that were not deleted."""


class Scheduler(Protocol):
    """The ledger as it is seen from here."""

    def schedule(self, planned_deliveries: Sequence[PlannedDelivery]) -> int:
        """Schedule each once, in the transaction that is open; return how many are new."""


class WebhookScheduling:
    """The strategy of the follower that schedules deliveries; any number of processes may."""

    names: Sequence[str] = (NAME,)

    def __init__(
        self,
        log: Log,
        database: ViewDatabase,
        ledger: Scheduler,
        endpoints: Endpoints,
        on_scheduled: Callable[[int], None] = lambda new: None,
    ) -> None:
        """Schedule in the ledger whose events ``log`` reads and which lie in ``database``.

        :param on_scheduled: called with the number of new deliveries, after they were committed.
        """
        self._database = database
        self._ledger = ledger
        self._planner = DeliveryPlanner(log, endpoints)
        self._on_scheduled = on_scheduled
        self._stored: int | None = None
        """The position that is stored, as far as this process knows."""
        self._seen = 0
        self._unstored = 0

    def positions(self, names: Sequence[str]) -> Mapping[str, int]:
        """Return the position of the last event that was seen here, or that is stored."""
        if self._stored is None:
            with self._database.reading() as connection:
                self._stored = self._seen = REACTION_POSITIONS.read(connection, NAME)
            self._unstored = 0
        return dict.fromkeys(names, self._seen)

    def apply(
        self, names: Sequence[str], start: int, records: Sequence[RecordedEvent]
    ) -> Collection[str]:
        """Schedule what follows from these events; no name if another process was quicker."""
        scheduled = 0
        try:
            planned = self._planner.of(records)
            for last, deliveries in _pieces(planned, records[-1].position):
                if not deliveries:
                    self._unstored += len(records)
                if deliveries or self._unstored >= _MOST_UNSTORED:
                    new = self._schedule(deliveries, last)
                    if new is None:
                        self._stored = None
                        return ()
                    scheduled += new
                    self._stored, self._unstored = last, 0
                self._seen = last
        finally:
            if scheduled:
                self._on_scheduled(scheduled)
        return names

    def _schedule(self, deliveries: Sequence[PlannedDelivery], last: int) -> int | None:
        """Schedule together with the move to ``last``; None when another process has moved it."""
        assert self._stored is not None
        with self._database.transaction() as connection:
            if not REACTION_POSITIONS.move(connection, NAME, old=self._stored, new=last):
                return None
            return self._ledger.schedule(deliveries) if deliveries else 0


@dataclass(frozen=True, slots=True)
class _Submitted:
    """What has to be known of a request."""

    account_id: UUID
    webhook: Webhook | None


class DeliveryPlanner:
    """Plans deliveries. What it saw it remembers for a while; the rest is read from the log."""

    def __init__(self, log: Log, endpoints: Endpoints) -> None:
        """Remember nothing yet."""
        self._endpoints = endpoints
        self._requests = _Memory(log, _submitted_in)
        self._jobs = _Memory(log, _request_of_job_in)

    def of(self, records: Sequence[RecordedEvent]) -> list[tuple[int, PlannedDelivery]]:
        """Return the deliveries of these events, each with its event's position, in order."""
        for record in records:
            self._requests.note(record.event)
            self._jobs.note(record.event)
        notifications = self._notifications_of(records)
        if not notifications:
            return []
        requests = self._requests.of({each.request_id for _, each in notifications})
        accounts = {each.account_id for each in requests.values()} - {ANONYMOUS_ID}
        endpoints = self._endpoints.endpoints_of(accounts) if accounts else {}
        return [
            (position, planned_delivery)
            for position, notification in notifications
            for planned_delivery in _deliveries_of(
                position, notification, requests[notification.request_id], endpoints
            )
        ]

    def _notifications_of(self, records: Sequence[RecordedEvent]) -> list[tuple[int, Notification]]:
        """Return what webhooks can be sent of these events, each with its position."""
        for_webhooks = [record for record in records if _is_for_webhooks(record.event)]
        jobs = self._jobs.of(
            {each.event.originator_id for each in for_webhooks if isinstance(each.event, Job.Event)}
        )
        found = []
        for record in for_webhooks:
            stream = record.event.originator_id
            request_id = jobs[stream] if isinstance(record.event, Job.Event) else stream
            notification = notification_of(record.event, request_id)
            assert notification is not None
            found.append((record.position, notification))
        return found


class _Memory(Generic[_Fact]):
    """One fact of each stream; the least recently used are forgotten."""

    def __init__(self, log: Log, fact_in: Callable[[Aggregate.Event], _Fact | None]) -> None:
        self._log = log
        self._fact_in = fact_in
        self._facts: OrderedDict[UUID, _Fact] = OrderedDict()

    def note(self, event: Aggregate.Event) -> _Fact | None:
        """Remember what an event says, and return it; None for nothing."""
        fact = self._fact_in(event)
        if fact is not None:
            self._facts[event.originator_id] = fact
            if len(self._facts) > _MOST_REMEMBERED:
                self._facts.popitem(last=False)
        return fact

    def of(self, streams: Collection[UUID]) -> Mapping[UUID, _Fact]:
        """Return the fact of each of these streams."""
        found: dict[UUID, _Fact] = {}
        missing: dict[UUID, int] = {}
        for stream in streams:
            if stream in self._facts:
                self._facts.move_to_end(stream)
                found[stream] = self._facts[stream]
            else:
                missing[stream] = 0
        # As after a restart. What is found is not looked up again: it may be forgotten already.
        for record in self._log.tails(missing) if missing else ():
            if (fact := self.note(record.event)) is not None:
                found[record.event.originator_id] = fact
        return found


def _is_for_webhooks(event: Aggregate.Event) -> bool:
    notification = notification_of(event, event.originator_id)
    return notification is not None and notification.kind in WEBHOOK_KINDS


def _submitted_in(event: Aggregate.Event) -> _Submitted | None:
    if isinstance(event, Request.Submitted):
        return _Submitted(event.account_id, event.webhook)
    return None


def _request_of_job_in(event: Aggregate.Event) -> UUID | None:
    return event.request_id if isinstance(event, Job.Batched) else None


def _deliveries_of(
    position: int,
    notification: Notification,
    request: _Submitted,
    endpoints: Mapping[UUID, Sequence[EndpointEntry]],
) -> Sequence[PlannedDelivery]:
    """Return the deliveries of one notification: to the request's own webhook, and to those
    endpoints of its account that were registered before and ask for its kind."""
    account_id, webhook = request.account_id, request.webhook
    planned = []
    if webhook is not None and notification.kind in webhook.kinds:
        planned.append(PlannedDelivery(notification, account_id, None, webhook.destination))
    for endpoint in endpoints.get(account_id, ()):
        if (
            endpoint.disabled is None
            and notification.kind in endpoint.kinds
            and endpoint.registered_at_position < position
        ):
            endpoint_id = endpoint.endpoint_id
            planned.append(PlannedDelivery(notification, account_id, endpoint_id, endpoint_id))
    return planned


def _pieces(
    planned: Sequence[tuple[int, PlannedDelivery]], end: int
) -> Iterator[tuple[int, list[PlannedDelivery]]]:
    """Divide deliveries between events; yield each part with the position it leads to.

    :param end: the position that the last part leads to.
    """
    piece: list[PlannedDelivery] = []
    last = 0
    for position, delivery in planned:
        if len(piece) >= _MOST_AT_ONCE and position != last:
            yield last, piece
            piece = []
        piece.append(delivery)
        last = position
    yield end, piece
