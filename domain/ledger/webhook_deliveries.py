"""Webhook deliveries: scheduled, tried, settled, and sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError

from domain.accounts.account import ANONYMOUS_ID
from domain.ledger.webhook_endpoints import WebhookEndpointCommands
from domain.requests.notifications import Notification
from domain.return_codes import Refused
from domain.sealing import Sealed
from domain.webhooks.attempts import Outcome
from domain.webhooks.backoff import AbandonReason, Decision
from domain.webhooks.delivery import WebhookDelivery, delivery_id_of
from domain.webhooks.kinds import NotificationKind

_SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class PlannedDelivery:
    """Something that happened, and where it is to be told."""

    notification: Notification
    account_id: UUID
    """Whose request it is."""
    endpoint_id: UUID | None
    """The account's endpoint; None for the address that the request itself named."""
    destination: UUID
    """The endpoint, or the destination of the request's own webhook."""

    @property
    def delivery_id(self) -> UUID:
        """The id of the delivery that tells it."""
        told = self.notification
        return delivery_id_of(
            told.request_id, told.kind, told.about, endpoint_id=self.endpoint_id, step=told.step
        )


class WebhookDeliveryCommands(WebhookEndpointCommands):
    """What becomes of deliveries."""

    def schedule_deliveries(self, planned_deliveries: Sequence[PlannedDelivery]) -> int:
        """Have things told, each once; return how many were not scheduled before.

        Joins the transaction that is open, so that whoever follows the log moves with it.
        """
        now = self._clock.now()
        new = [
            planned_delivery
            for planned_delivery in planned_deliveries
            if not self._is_scheduled(planned_delivery.delivery_id)
        ]
        self.save(
            *(
                WebhookDelivery.schedule(
                    account_id=planned_delivery.account_id,
                    kind=planned_delivery.notification.kind,
                    about=planned_delivery.notification.about,
                    request_id=planned_delivery.notification.request_id,
                    step=planned_delivery.notification.step,
                    endpoint_id=planned_delivery.endpoint_id,
                    destination=planned_delivery.destination,
                    happened_at=planned_delivery.notification.happened_at,
                    timestamp=now,
                )
                for planned_delivery in new
            )
        )
        return len(new)

    def test_endpoint(self, endpoint_id: UUID, *, account_id: UUID) -> UUID:
        """Send a test to an account's endpoint, be it disabled; return the delivery's id.

        :raises Refused: ``WebhookNotFound``.
        """
        endpoint = self.endpoint_of(account_id, endpoint_id)
        now = self._clock.now()
        delivery = WebhookDelivery.schedule(
            account_id=account_id,
            kind=NotificationKind.TEST,
            about=self._random_source.new_id(),
            request_id=None,
            endpoint_id=endpoint.id,
            destination=endpoint.id,
            happened_at=now,
            timestamp=now,
        )
        self.save(delivery)
        return delivery.id

    def delivery(self, delivery_id: UUID) -> WebhookDelivery:
        """Return a delivery.

        :raises Refused: ``DeliveryNotFound``.
        """
        return self._load(WebhookDelivery, delivery_id, "DeliveryNotFound")

    def record_attempt(
        self, delivery_id: UUID, outcome: Outcome, *, seconds: float, answer: str = ""
    ) -> Decision | None:
        """Note what came of a try that has just ended; return what follows from it.

        None when the delivery was over already and nothing followed.

        :param seconds: how long it took.
        :param answer: the beginning of the answer's body.
        :raises Refused: ``DeliveryNotFound`` or ``Locked``.
        """
        jitter = self._random_source.new_seed() / _SEEDS

        def record() -> Decision | None:
            delivery = self.delivery(delivery_id)
            with self._transactions.transaction():
                decision = delivery.record_attempt(
                    outcome,
                    seconds=seconds,
                    answer=self._sealed_answer(delivery, answer),
                    jitter=jitter,
                    timestamp=self._clock.now(),
                )
                self.save(delivery)
            return decision

        return self._retried(record)

    def give_delivery_up(self, delivery_id: UUID, reason: AbandonReason) -> None:
        """Try a delivery no more; over already is no error.

        :raises Refused: ``DeliveryNotFound`` or ``Locked``.
        """

        def give_up() -> None:
            delivery = self.delivery(delivery_id)
            delivery.abandon(reason, timestamp=self._clock.now())
            self.save(delivery)

        self._retried(give_up)

    def give_late_delivery_up(self, delivery_id: UUID) -> bool:
        """Try a delivery no more if its time is over; return whether that was so.

        :raises Refused: ``DeliveryNotFound`` or ``Locked``.
        """

        def give_up() -> bool:
            delivery = self.delivery(delivery_id)
            delivery.abandon_if_late(timestamp=self._clock.now())
            is_late = bool(delivery.pending_events)
            self.save(delivery)
            return is_late

        return self._retried(give_up)

    def resend_delivery(
        self, delivery_id: UUID, *, by: UUID | None, account_id: UUID | None = None
    ) -> None:
        """Send a delivery again under the same id; one that is due anyway is no error.

        :param by: the account that wants it; None for the operator at the machine itself.
        :param account_id: whose it has to be; None: anybody's.
        :raises Refused: ``DeliveryNotFound`` or ``Locked``.
        """

        def resend() -> None:
            delivery = self.delivery(delivery_id)
            if account_id is not None and delivery.account_id != account_id:
                raise Refused("DeliveryNotFound")
            delivery.resend(by=by, timestamp=self._clock.now())
            self.save(delivery)

        self._retried(resend)

    def _is_scheduled(self, delivery_id: UUID) -> bool:
        try:
            self.repository.get(delivery_id, version=1)
        except AggregateNotFoundError:
            return False
        return True

    def _sealed_answer(self, delivery: WebhookDelivery, answer: str) -> Sealed | None:
        if not answer:
            return None
        anonymous = delivery.account_id == ANONYMOUS_ID and delivery.request_id is not None
        subject = delivery.request_id if anonymous else delivery.account_id
        assert subject is not None
        return self._sealer.seal(subject, answer)
