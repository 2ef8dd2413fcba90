"""A webhook delivery: one notification on its way to one webhook."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID, uuid5

from eventsourcing.domain import Aggregate

from domain.sealing import Sealed
from domain.webhooks.attempts import Outcome, Problem
from domain.webhooks.backoff import AbandonReason, Decision, Policy, decide, policy_for
from domain.webhooks.notification import NotificationKind

_DELIVERIES = UUID("8c6f2b1e-6d0a-4f53-9b7e-1f4f0f6f5a07")


def delivery_id_of(
    request_id: UUID | None,
    kind: NotificationKind,
    about: UUID,
    *,
    endpoint_id: UUID | None,
    step: int | None = None,
) -> UUID:
    """Return the id of the delivery of one notification to one webhook: always the same.

    So what is scheduled twice is one delivery, and its receiver recognises what it has already
    received: the id is the ``webhook-id`` of every attempt.

    :param request_id: None for a test.
    :param about: see :class:`WebhookDelivery.Scheduled`.
    :param endpoint_id: None for the request's own webhook.
    :param step: for progress, how far the job was.
    """
    parts = (request_id, kind, about, step, endpoint_id)
    return uuid5(_DELIVERIES, "/".join(str(part) for part in parts))


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    DUE = "due"
    """An attempt is to be made, now or later."""
    DELIVERED = "delivered"
    ABANDONED = "given_up"


class WebhookDelivery(Aggregate):
    """One notification for one webhook, the attempts so far, and their outcome.

    No event holds what is sent: each attempt makes it anew from the history of the request.
    """

    TOPIC = "WebhookDelivery"

    class Event(Aggregate.Event):
        """Something that happened to a delivery."""

    class Created(Event, Aggregate.Created):
        """What the library wants a first event to be; never stored by itself."""

        TOPIC = "WebhookDelivery.Created"

    class Scheduled(Created):
        """A notification is to be delivered; it is due at once."""

        TOPIC = "WebhookDelivery.Scheduled"
        account_id: UUID
        """The account whose request it is, or whose endpoint is tested."""
        kind: NotificationKind
        about: UUID
        """The image for an image, the job for a start or progress, the request for an end; for a
        test an id of its own."""
        request_id: UUID | None
        """None for a test."""
        step: int | None
        """For progress, how far the job was; None for all else."""
        endpoint_id: UUID | None
        """The account's endpoint; None for the request's own webhook."""
        destination: UUID
        """What it shares its order and its limits with: the endpoint's id, or an id that this
        installation makes with a key of its own from the address that the request named."""
        happened_at: datetime
        """When it happened; the event's own time is when that was noticed."""
        give_up_at: datetime
        """When it is abandoned at the latest, attempted or not."""

    class Attempted(Event):
        """An attempt was made; the event's time is when it ended."""

        TOPIC = "WebhookDelivery.Attempted"
        number: int
        """1 for the first attempt; goes on counting when the delivery is resent."""
        status: int | None
        """The HTTP status; None when no answer came."""
        problem: Problem | None
        """Why no answer came."""
        seconds: float
        """How long it took."""
        answer: Sealed | None
        """The beginning of the answer's body, which may repeat what was sent. None for an empty
        one, and where no answer came."""
        retry_after: float | None
        """The seconds that the receiver asked to wait."""
        again_at: datetime | None
        """When the next attempt is due; None when this was the last."""

        def apply(self, aggregate: WebhookDelivery) -> None:
            """Count it."""
            aggregate.attempts = self.number
            aggregate.attempts_since_scheduled += 1
            aggregate.due_at = self.again_at

    class Delivered(Event):
        """The receiver took it."""

        TOPIC = "WebhookDelivery.Delivered"
        attempts: int
        """How many there were in all."""

        def apply(self, aggregate: WebhookDelivery) -> None:
            """Close it."""
            aggregate.close(DeliveryState.DELIVERED)

    class Abandoned(Event):
        """No further attempt will be made, unless it is resent."""

        TOPIC = "WebhookDelivery.GivenUp"
        attempts: int
        """How many there were in all."""
        reason: AbandonReason

        def apply(self, aggregate: WebhookDelivery) -> None:
            """Close it."""
            aggregate.close(DeliveryState.ABANDONED)

    class Resent(Event):
        """It is sent again on request, under the same id; it is due at once."""

        TOPIC = "WebhookDelivery.Resent"
        by: UUID | None
        """The account that wanted it; None for the operator at the machine itself."""
        request_id: UUID | None
        """As when it was scheduled."""
        destination: UUID
        """As when it was scheduled."""
        give_up_at: datetime
        """When it is abandoned at the latest now."""

        def apply(self, aggregate: WebhookDelivery) -> None:
            """Begin anew."""
            aggregate.state = DeliveryState.DUE
            aggregate.attempts_since_scheduled = 0
            aggregate.due_at = self.timestamp
            aggregate.give_up_at = self.give_up_at

    def __init__(
        self,
        account_id: UUID,
        kind: NotificationKind,
        about: UUID,
        request_id: UUID | None,
        step: int | None,
        endpoint_id: UUID | None,
        destination: UUID,
        happened_at: datetime,
        give_up_at: datetime,
    ) -> None:
        """Start due, without attempts; called with the facts of :class:`Scheduled`."""
        self.account_id = account_id
        self.kind = kind
        self.about = about
        self.request_id = request_id
        self.step = step
        self.endpoint_id = endpoint_id
        self.destination = destination
        self.happened_at = happened_at
        self.give_up_at = give_up_at
        self.state = DeliveryState.DUE
        self.due_at: datetime | None = self.created_on
        """When the next attempt is due; None once it is delivered or abandoned."""
        self.attempts = 0
        """How many there were in all."""
        self.attempts_since_scheduled = 0
        """How many there were since it was scheduled or last resent."""

    @classmethod
    def schedule(
        cls,
        *,
        account_id: UUID,
        kind: NotificationKind,
        about: UUID,
        request_id: UUID | None,
        step: int | None = None,
        endpoint_id: UUID | None,
        destination: UUID,
        happened_at: datetime,
        timestamp: datetime,
    ) -> Self:
        """Return a new delivery with its first event pending; its id follows from the facts."""
        return cls._create(
            cls.Scheduled,
            id=delivery_id_of(request_id, kind, about, endpoint_id=endpoint_id, step=step),
            account_id=account_id,
            kind=kind,
            about=about,
            request_id=request_id,
            step=step,
            endpoint_id=endpoint_id,
            destination=destination,
            happened_at=happened_at,
            give_up_at=timestamp + policy_for(kind, endpoint_id).lifetime,
            timestamp=timestamp,
        )

    @property
    def is_due(self) -> bool:
        """Whether an attempt is still to be made, now or later."""
        return self.state is DeliveryState.DUE

    @property
    def policy(self) -> Policy:
        """How many attempts it gets, and how far apart."""
        return policy_for(self.kind, self.endpoint_id)

    def record_attempt(
        self,
        outcome: Outcome,
        *,
        seconds: float,
        answer: Sealed | None = None,
        jitter: float,
        timestamp: datetime,
    ) -> Decision | None:
        """Record the outcome of an attempt, and return what follows from it.

        The delivery may be over when the attempt ends: another sender was faster, or it was
        abandoned. Then only the first success still counts; for anything else nothing is recorded
        and None is returned.

        :param seconds: how long it took.
        :param answer: the beginning of the answer's body.
        :param jitter: from 0 to below 1.
        :param timestamp: when the attempt ended.
        """
        if not self.is_due and (self.state is DeliveryState.DELIVERED or not outcome.is_success):
            return None
        decision = decide(
            self.policy,
            outcome,
            attempts=self.attempts_since_scheduled + 1,
            give_up_at=self.give_up_at,
            jitter=jitter,
            now=timestamp,
        )
        requested = outcome.retry_after
        self.trigger_event(
            self.Attempted,
            number=self.attempts + 1,
            status=outcome.status,
            problem=outcome.problem,
            seconds=seconds,
            answer=answer,
            retry_after=None if requested is None else requested.total_seconds(),
            again_at=decision.again_at,
            timestamp=timestamp,
        )
        if decision.delivered:
            self.trigger_event(self.Delivered, attempts=self.attempts, timestamp=timestamp)
        elif decision.abandoned is not None:
            self.abandon(decision.abandoned, timestamp=timestamp)
        return decision

    def abandon(self, reason: AbandonReason, *, timestamp: datetime) -> None:
        """Make no further attempt; over already is no error."""
        if self.is_due:
            self.trigger_event(
                self.Abandoned, attempts=self.attempts, reason=reason, timestamp=timestamp
            )

    def abandon_if_late(self, *, timestamp: datetime) -> None:
        """Abandon it if its time is over; over already, or not yet, is no error."""
        if timestamp >= self.give_up_at:
            self.abandon(AbandonReason.LATE, timestamp=timestamp)

    def resend(self, *, by: UUID | None, timestamp: datetime) -> None:
        """Send it again, with attempts and time as if new; one that is still due stays as it is."""
        if not self.is_due:
            self.trigger_event(
                self.Resent,
                by=by,
                request_id=self.request_id,
                destination=self.destination,
                give_up_at=timestamp + self.policy.lifetime,
                timestamp=timestamp,
            )

    def close(self, state: DeliveryState) -> None:
        """Stand in a final state; called by the events alone."""
        self.state = state
        self.due_at = None
