"""Webhooks: the endpoints of accounts, the secrets that sign for them, and the deliveries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.funds import Funds
from domain.ledger.core import Core
from domain.ledger.ports import EndpointCounts
from domain.ports import RandomSource
from domain.return_codes import Refused
from domain.sealing import Sealed, Sealer
from domain.webhooks.attempts import Outcome
from domain.webhooks.backoff import AbandonReason, Decision
from domain.webhooks.delivery import WebhookDelivery, delivery_id_of
from domain.webhooks.endpoint import DisableReason, WebhookEndpoint
from domain.webhooks.notification import TEST, Notification, NotificationKind
from domain.webhooks.secret import FIRST_NUMBER, OVERLAP, WebhookSecret, webhook_secret_id_of

MOST_ENDPOINTS = 20
"""Webhook endpoints that an account may have at a time; the caller counts before registering."""

_SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class PlannedDelivery:
    """A notification, and the webhook that it goes to."""

    notification: Notification
    account_id: UUID
    """Whose request it is."""
    endpoint_id: UUID | None
    """The account's endpoint; None for the address that the request itself named."""
    destination: UUID
    """The endpoint, or the destination of the request's own webhook."""

    @property
    def delivery_id(self) -> UUID:
        """The delivery's id."""
        notification = self.notification
        return delivery_id_of(
            notification.request_id,
            notification.kind,
            notification.about,
            endpoint_id=self.endpoint_id,
            step=notification.step,
        )


class Webhooks:
    """What becomes of endpoints, secrets and deliveries."""

    def __init__(
        self,
        core: Core,
        endpoints: EndpointCounts,
        funds: Funds,
        sealer: Sealer,
        random_source: RandomSource,
    ) -> None:
        """Build on the core and these ports."""
        self._core = core
        self._endpoints = endpoints
        self._funds = funds
        self._sealer = sealer
        self._random_source = random_source

    def register_endpoint(
        self, account_id: UUID, *, address: str, kinds: Collection[NotificationKind]
    ) -> UUID:
        """Register an endpoint: an account's notifications are posted to its address from now on.
        Return its id.

        :param address: checked before.
        :param kinds: the kinds of notifications that are sent there.
        :raises Refused: ``AnonForbidden``, ``Forbidden`` (too many) or ``Locked``.
        """
        if account_id == ANONYMOUS_ID:
            raise Refused("AnonForbidden")

        def register_one() -> UUID:
            with self._core.transaction():
                # Two at once would each count without the other.
                self._funds.lock(account_id)
                if self._endpoints.count_of_endpoints(account_id) >= MOST_ENDPOINTS:
                    raise Refused(
                        "Forbidden", f"At most {MOST_ENDPOINTS} webhook endpoints: delete one."
                    )
                endpoint = WebhookEndpoint.register(
                    self._random_source.new_id(),
                    account_id=account_id,
                    address=self._sealer.seal(account_id, address),
                    kinds=kinds,
                    timestamp=self._core.now(),
                )
                self._core.save(endpoint)
            return endpoint.id

        return self._core.retried(register_one)

    def change_endpoint(
        self,
        endpoint_id: UUID,
        *,
        account_id: UUID,
        kinds: Collection[NotificationKind] | None = None,
        enabled: bool | None = None,
    ) -> None:
        """Apply every given field, or none.

        :param kinds: the kinds that are sent there from now on; None leaves them.
        :param enabled: whether anything is sent there; None leaves it.
        :raises Refused: ``WebhookNotFound`` or ``Locked``.
        """

        def change_all() -> None:
            endpoint = self.endpoint_of(account_id, endpoint_id)
            now = self._core.now()
            if kinds is not None:
                endpoint.change_filter(kinds, timestamp=now)
            if enabled is True:
                endpoint.enable(by=account_id, timestamp=now)
            elif enabled is False:
                endpoint.disable(DisableReason.BY_HAND, by=account_id, timestamp=now)
            self._core.save(endpoint)

        self._core.retried(change_all)

    def delete_endpoint(self, endpoint_id: UUID, *, account_id: UUID) -> None:
        """Delete an endpoint for good; its open deliveries are abandoned.

        :raises Refused: ``WebhookNotFound`` or ``Locked``.
        """

        def delete_one() -> None:
            endpoint = self.endpoint_of(account_id, endpoint_id)
            endpoint.delete(timestamp=self._core.now())
            self._core.save(endpoint)

        self._core.retried(delete_one)

    def disable_endpoint(self, endpoint_id: UUID, reason: DisableReason) -> None:
        """Send nothing to an endpoint any more because of how it answers, or does not.

        :raises Refused: ``WebhookNotFound`` or ``Locked``.
        """

        def disable_one() -> None:
            endpoint = self.endpoint(endpoint_id)
            endpoint.disable(reason, timestamp=self._core.now())
            self._core.save(endpoint)

        self._core.retried(disable_one)

    def endpoint(self, endpoint_id: UUID) -> WebhookEndpoint:
        """Return an endpoint, be it disabled or deleted.

        :raises Refused: ``WebhookNotFound``.
        """
        return self._core.load(WebhookEndpoint, endpoint_id, "WebhookNotFound")

    def endpoint_of(self, account_id: UUID, endpoint_id: UUID) -> WebhookEndpoint:
        """Return an account's endpoint.

        :raises Refused: ``WebhookNotFound``, also when it was deleted or is another account's.
        """
        endpoint = self.endpoint(endpoint_id)
        if endpoint.account_id != account_id or endpoint.deleted:
            raise Refused("WebhookNotFound")
        return endpoint

    def rotate_secret(self, account_id: UUID, *, overlap: timedelta = OVERLAP) -> int:
        """Sign an account's deliveries with another secret from now on; return its number.

        :param overlap: for how long the present one still signs beside it.
        :raises Refused: ``AnonForbidden`` or ``Locked``.
        """
        if account_id == ANONYMOUS_ID:
            raise Refused("AnonForbidden")

        def rotate_one() -> int:
            now = self._core.now()
            secret = self._secret(account_id)
            if secret is None:
                secret = WebhookSecret.keep(account_id, timestamp=now)
            number = secret.rotate(overlap=overlap, timestamp=now)
            self._core.save(secret)
            return number

        return self._core.retried(rotate_one)

    def secret_numbers(self, account_id: UUID) -> tuple[int, ...]:
        """Return the numbers of the secrets that sign for an account now, the newest first; none
        for anonymous, who cannot keep a secret."""
        if account_id == ANONYMOUS_ID:
            return ()
        secret = self._secret(account_id)
        return (FIRST_NUMBER,) if secret is None else secret.numbers(self._core.now())

    def schedule(self, planned_deliveries: Sequence[PlannedDelivery]) -> int:
        """Schedule deliveries, each once; return how many were not scheduled before.

        In an open transaction it joins that, so that a follower's position moves with it.

        :raises Refused: ``Locked``.
        :raises IntegrityError: in an open transaction, when another one was faster.
        """

        def schedule_new() -> int:
            now = self._core.now()
            new = [
                WebhookDelivery.schedule(
                    account_id=planned.account_id,
                    kind=planned.notification.kind,
                    about=planned.notification.about,
                    request_id=planned.notification.request_id,
                    step=planned.notification.step,
                    endpoint_id=planned.endpoint_id,
                    destination=planned.destination,
                    happened_at=planned.notification.happened_at,
                    timestamp=now,
                )
                for planned in planned_deliveries
                if not self._core.exists(planned.delivery_id)
            ]
            self._core.save(*new)
            return len(new)

        return self._core.retried(schedule_new)

    def test_endpoint(self, endpoint_id: UUID, *, account_id: UUID) -> UUID:
        """Send a test to an account's endpoint, be it disabled; return the delivery's id.

        :raises Refused: ``WebhookNotFound`` or ``Locked``.
        """

        def schedule_test() -> UUID:
            endpoint = self.endpoint_of(account_id, endpoint_id)
            now = self._core.now()
            delivery = WebhookDelivery.schedule(
                account_id=account_id,
                kind=TEST,
                about=self._random_source.new_id(),
                request_id=None,
                endpoint_id=endpoint.id,
                destination=endpoint.id,
                happened_at=now,
                timestamp=now,
            )
            self._core.save(delivery)
            return delivery.id

        return self._core.retried(schedule_test)

    def delivery(self, delivery_id: UUID) -> WebhookDelivery:
        """Return a delivery.

        :raises Refused: ``DeliveryNotFound``.
        """
        return self._core.load(WebhookDelivery, delivery_id, "DeliveryNotFound")

    def record_attempt(
        self, delivery_id: UUID, outcome: Outcome, *, seconds: float, answer: str = ""
    ) -> Decision | None:
        """Record the outcome of an attempt that has just ended; return what follows from it.

        None when the delivery was over already and nothing followed.

        :param seconds: how long it took.
        :param answer: the beginning of the answer's body.
        :raises Refused: ``DeliveryNotFound`` or ``Locked``.
        """
        jitter = self._random_source.new_seed() / _SEEDS

        def record() -> Decision | None:
            delivery = self.delivery(delivery_id)
            with self._core.transaction():
                decision = delivery.record_attempt(
                    outcome,
                    seconds=seconds,
                    answer=self._sealed_answer(delivery, answer),
                    jitter=jitter,
                    timestamp=self._core.now(),
                )
                self._core.save(delivery)
            return decision

        return self._core.retried(record)

    def abandon(self, delivery_id: UUID, reason: AbandonReason) -> None:
        """Try a delivery no more; over already is no error.

        :raises Refused: ``DeliveryNotFound`` or ``Locked``.
        """

        def abandon_one() -> None:
            delivery = self.delivery(delivery_id)
            delivery.abandon(reason, timestamp=self._core.now())
            self._core.save(delivery)

        self._core.retried(abandon_one)

    def abandon_if_late(self, delivery_id: UUID) -> bool:
        """Try a delivery no more if its time is over; return whether that was so.

        :raises Refused: ``DeliveryNotFound`` or ``Locked``.
        """

        def abandon_one() -> bool:
            delivery = self.delivery(delivery_id)
            delivery.abandon_if_late(timestamp=self._core.now())
            is_late = bool(delivery.pending_events)
            self._core.save(delivery)
            return is_late

        return self._core.retried(abandon_one)

    def resend(self, delivery_id: UUID, *, by: UUID | None, account_id: UUID | None = None) -> None:
        """Send a delivery again under the same id; one that is due anyway is no error.

        :param by: the account that wants it; None for the operator at the machine itself.
        :param account_id: whose it has to be; None: anybody's.
        :raises Refused: ``DeliveryNotFound`` or ``Locked``.
        """

        def resend_one() -> None:
            delivery = self.delivery(delivery_id)
            if account_id is not None and delivery.account_id != account_id:
                raise Refused("DeliveryNotFound")
            delivery.resend(by=by, timestamp=self._core.now())
            self._core.save(delivery)

        self._core.retried(resend_one)

    def _secret(self, account_id: UUID) -> WebhookSecret | None:
        return self._core.find(WebhookSecret, webhook_secret_id_of(account_id))

    def _sealed_answer(self, delivery: WebhookDelivery, answer: str) -> Sealed | None:
        if not answer:
            return None
        anonymous = delivery.account_id == ANONYMOUS_ID and delivery.request_id is not None
        subject = delivery.request_id if anonymous else delivery.account_id
        assert subject is not None
        return self._sealer.seal(subject, answer)
