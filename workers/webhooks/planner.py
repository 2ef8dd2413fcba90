"""The planner: decides which notifications go to which webhooks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from eventsourcing.domain import Aggregate

from domain.accounts.account import ANONYMOUS_ID
from domain.jobs.job import Job
from domain.ledger.webhooks import PlannedDelivery
from domain.requests.request import Request
from domain.webhooks.notification import WEBHOOK_KINDS, Notification
from domain.webhooks.webhook import Webhook
from projections.tracking.notifications import notification_of
from projections.view import Log, RecordedEvent
from projections.webhooks.due.reader import EndpointEntry

_MOST_REMEMBERED = 50_000

_Fact = TypeVar("_Fact")


class Endpoints(Protocol):
    """The accounts' endpoints."""

    def endpoints_of(self, account_ids: Collection[UUID]) -> Mapping[UUID, Sequence[EndpointEntry]]:
        """Return the endpoints of these accounts that were not deleted."""


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
