"""A webhook delivery: one thing that happened, to be told at one address."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID, uuid5

from eventsourcing.domain import Aggregate

from domain.sealing import Sealed
from domain.webhooks.kinds import NotificationKind
from domain.webhooks.retrying import (
    ONCE,
    PER_ACCOUNT,
    PER_REQUEST,
    AbandonReason,
    Decision,
    Outcome,
    Policy,
    Problem,
    decide,
)

_DELIVERIES = UUID("8c6f2b1e-6d0a-4f53-9b7e-1f4f0f6f5a07")


def delivery_id_of(
    request_id: UUID | None,
    kind: NotificationKind,
    about: UUID,
    *,
    endpoint_id: UUID | None,
    step: int | None = None,
) -> UUID:
    """Return the id of the delivery that tells this to that endpoint: always the same.

    So what is scheduled twice is one delivery, and its receiver knows again what it had already:
    the id is the ``webhook-id`` of every try.

    :param request_id: None for a test.
    :param about: see :class:`WebhookDelivery.Scheduled`.
    :param endpoint_id: None for the address that the request itself named.
    :param step: for progress, how far the job was.
    """
    parts = (request_id, kind.value, about, step, endpoint_id)
    return uuid5(_DELIVERIES, "/".join(str(part) for part in parts))


def policy_for(kind: NotificationKind, endpoint_id: UUID | None) -> Policy:
    """Return how often a delivery is tried.

    :param endpoint_id: None for the address that the request itself named.
    """
    if kind is NotificationKind.TEST:
        return ONCE
    return PER_REQUEST if endpoint_id is None else PER_ACCOUNT


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    DUE = "due"
    """It is to be tried, now or later."""
    DELIVERED = "delivered"
    ABANDONED = "given_up"


class WebhookDelivery(Aggregate):
    """What is to be told, how often it was tried, and what came of it.

    What is sent stands in no event: it is made anew for each try from the history of what it tells.
    """

    TOPIC = "WebhookDelivery"

    class Event(Aggregate.Event):
        """Something that happened to a delivery."""

    class Created(Event, Aggregate.Created):
        """What the library wants a first event to be; never stored by itself."""

        TOPIC = "WebhookDelivery.Created"

    class Scheduled(Created):
        """Something happened that is to be told; it is due at once."""

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
        """The account's endpoint; None for the address that the request itself named."""
        destination: UUID
        """Under what it is put in order and counted with others: the endpoint, or an id that this
        installation makes with a key of its own from the address that the request named."""
        happened_at: datetime
        """When it happened; the event's own time is when that was noticed."""
        give_up_at: datetime
        """When its time is over, tried or not."""

    class Attempted(Event):
        """It was sent once; the event's time is when that ended."""

        TOPIC = "WebhookDelivery.Attempted"
        number: int
        """1 for the first try; goes on counting when it is sent again by hand."""
        status: int | None
        """The HTTP status; None when no answer came."""
        problem: Problem | None
        """Why no answer came."""
        seconds: float
        """How long it took."""
        answer: Sealed | None
        """The beginning of the answer's body: it may repeat what it was told. None for an empty
        one, and where no answer came."""
        retry_after: float | None
        """The seconds that the receiver asked to wait."""
        again_at: datetime | None
        """When the next try is due; None when this was the last."""

        def apply(self, aggregate: WebhookDelivery) -> None:
            """Count it."""
            aggregate.attempts = self.number
            aggregate.tries += 1
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
        """It is not tried any more, unless somebody wants it sent again."""

        TOPIC = "WebhookDelivery.GivenUp"
        attempts: int
        """How many there were in all."""
        reason: AbandonReason

        def apply(self, aggregate: WebhookDelivery) -> None:
            """Close it."""
            aggregate.close(DeliveryState.ABANDONED)

    class Resent(Event):
        """Somebody wants it sent again, under the same id; it is due at once."""

        TOPIC = "WebhookDelivery.Resent"
        by: UUID | None
        """The account that wanted it; None for the operator at the machine itself."""
        request_id: UUID | None
        """As when it was scheduled."""
        destination: UUID
        """As when it was scheduled."""
        give_up_at: datetime
        """When its time is over now."""

        def apply(self, aggregate: WebhookDelivery) -> None:
            """Begin anew."""
            aggregate.state = DeliveryState.DUE
            aggregate.tries = 0
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
        """Start due and untried; called with the facts of :class:`Scheduled`."""
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
        """When it is to be tried; None once it is delivered or given up."""
        self.attempts = 0
        """How often it was sent in all."""
        self.tries = 0
        """How often it was sent since it was scheduled, or last sent again by hand."""

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
        """Return a new delivery with its first event pending; its id follows from what it tells."""
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
        """Whether it is still to be tried, now or later."""
        return self.state is DeliveryState.DUE

    @property
    def policy(self) -> Policy:
        """How often it is tried."""
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
        """Note what came of a try, and return what follows from it.

        It may be over when the try ends, since another sender was faster or it was given up: then a
        success still counts unless there was one, and all else is no news, for which None is
        returned.

        :param seconds: how long it took.
        :param answer: the beginning of the answer's body.
        :param chance: from 0 to below 1.
        :param timestamp: when the try ended.
        """
        if not self.is_due and (self.state is DeliveryState.DELIVERED or not outcome.is_success):
            return None
        decision = decide(
            self.policy,
            outcome,
            tries=self.tries + 1,
            give_up_at=self.give_up_at,
            jitter=jitter,
            now=timestamp,
        )
        asked = outcome.retry_after
        self.trigger_event(
            self.Attempted,
            number=self.attempts + 1,
            status=outcome.status,
            problem=outcome.problem,
            seconds=seconds,
            answer=answer,
            retry_after=None if asked is None else asked.total_seconds(),
            again_at=decision.again_at,
            timestamp=timestamp,
        )
        if decision.delivered:
            self.trigger_event(self.Delivered, attempts=self.attempts, timestamp=timestamp)
        elif decision.given_up is not None:
            self.give_up(decision.given_up, timestamp=timestamp)
        return decision

    def give_up(self, reason: AbandonReason, *, timestamp: datetime) -> None:
        """Try it no more; over already is no error."""
        if self.is_due:
            self.trigger_event(
                self.Abandoned, attempts=self.attempts, reason=reason, timestamp=timestamp
            )

    def give_up_when_late(self, *, timestamp: datetime) -> None:
        """Give it up if its time is over; over already, or not yet, is no error."""
        if timestamp >= self.give_up_at:
            self.give_up(AbandonReason.LATE, timestamp=timestamp)

    def resend(self, *, by: UUID | None, timestamp: datetime) -> None:
        """Send it again, with all its tries and time anew; one that is due anyway is no news."""
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
