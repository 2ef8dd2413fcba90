"""Tellings: what webhooks tell of events that happened, and where."""

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
from domain.requests.notifications import Notification, notification_of
from domain.requests.request import Request
from domain.webhooks.kinds import WEBHOOK_KINDS
from domain.webhooks.webhook import Webhook
from projections.view import Log, RecordedEvent
from projections.webhooks.due import EndpointEntry

_MOST_REMEMBERED = 50_000

_Fact = TypeVar("_Fact")


class Endpoints(Protocol):
    """The accounts' endpoints."""

    def endpoints_of(self, account_ids: Collection[UUID]) -> Mapping[UUID, Sequence[EndpointEntry]]:
        """Return the endpoints of these accounts that were not deleted."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What has to be known of a request."""

    account_id: UUID
    webhook: Webhook | None


class DeliveryPlanner:
    """Finds what is to be told. What passed by is remembered; the rest is read from the log."""

    def __init__(self, log: Log, endpoints: Endpoints) -> None:
        """Nothing passed by yet."""
        self._endpoints = endpoints
        self._requests = _Memory(log, _what_was_asked)
        self._jobs = _Memory(log, _whose_job)

    def of(self, records: Sequence[RecordedEvent]) -> list[tuple[int, PlannedDelivery]]:
        """Return what is to be told of these events, each with its event's position, in order."""
        for record in records:
            self._requests.note(record.event)
            self._jobs.note(record.event)
        told = self._told(records)
        if not told:
            return []
        asked = self._requests.of({tracking.request_id for _, tracking in told})
        accounts = {each.account_id for each in asked.values()} - {ANONYMOUS_ID}
        endpoints = self._endpoints.endpoints_of(accounts) if accounts else {}
        return [
            (position, planned_delivery)
            for position, tracking in told
            for planned_delivery in _where_told(
                position, tracking, asked[tracking.request_id], endpoints
            )
        ]

    def _told(self, records: Sequence[RecordedEvent]) -> list[tuple[int, Notification]]:
        """Return what of these events webhooks tell, each with its position."""
        jobs = self._jobs.of(
            {
                record.event.originator_id
                for record in records
                if isinstance(record.event, Job.ImageGenerated | Job.Progressed)
            }
        )
        told = []
        for record in records:
            event = record.event
            if isinstance(event, Job.Batched):
                request_id = event.request_id
            elif isinstance(event, Job.ImageGenerated | Job.Progressed):
                request_id = jobs[event.originator_id]
            elif isinstance(event, Request.Ended):
                request_id = event.originator_id
            else:
                continue
            tracking = notification_of(event, request_id)
            if tracking is not None and tracking.kind in WEBHOOK_KINDS:
                told.append((record.position, tracking))
        return told


class _Memory(Generic[_Fact]):
    """One fact of each stream, those that nobody asked for lately forgotten."""

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
        # As after a restart. What is found is not asked for once more: it may be forgotten already.
        for record in self._log.tails(missing) if missing else ():
            if (fact := self.note(record.event)) is not None:
                found[record.event.originator_id] = fact
        return found


def _what_was_asked(event: Aggregate.Event) -> _Asked | None:
    return _Asked(event.account_id, event.webhook) if isinstance(event, Request.Submitted) else None


def _whose_job(event: Aggregate.Event) -> UUID | None:
    return event.request_id if isinstance(event, Job.Batched) else None


def _where_told(
    position: int,
    tracking: Notification,
    asked: _Asked,
    endpoints: Mapping[UUID, Sequence[EndpointEntry]],
) -> Sequence[PlannedDelivery]:
    """Return where something is told: at the request's own address, and at the endpoints of its
    account that were there already and want to hear of it."""
    told = []
    if asked.webhook is not None and tracking.kind in asked.webhook.kinds:
        told.append(PlannedDelivery(tracking, asked.account_id, None, asked.webhook.destination))
    for endpoint in endpoints.get(asked.account_id, ()):
        if (
            endpoint.disabled is None
            and tracking.kind in endpoint.kinds
            and endpoint.registered_at_position < position
        ):
            told.append(
                PlannedDelivery(
                    tracking, asked.account_id, endpoint.endpoint_id, endpoint.endpoint_id
                )
            )
    return told
