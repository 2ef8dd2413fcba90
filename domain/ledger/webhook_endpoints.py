"""Webhook endpoints: registered, changed, given up; and the secrets that sign for an account."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError

from domain.accounts.account import ANONYMOUS_ID
from domain.ledger.base import LedgerBase
from domain.return_codes import Refused
from domain.webhooks.endpoint import DisableReason, WebhookEndpoint
from domain.webhooks.kinds import NotificationKind
from domain.webhooks.secret import FIRST_NUMBER, OVERLAP, WebhookSecret, webhook_secret_id_of

MOST_ENDPOINTS = 20
"""Webhook endpoints that an account may have at a time."""


class WebhookEndpointCommands(LedgerBase):
    """What accounts do with their endpoints. How many they have is looked at before."""

    def register_endpoint(
        self, account_id: UUID, *, address: str, kinds: Collection[NotificationKind]
    ) -> UUID:
        """Tell an account at an address what becomes of its requests from now on; return the
        endpoint's id.

        :param address: checked before.
        :param kinds: what is told there.
        :raises Refused: ``AnonForbidden``.
        """
        if account_id == ANONYMOUS_ID:
            raise Refused("AnonForbidden")
        with self._transactions.transaction():
            endpoint = WebhookEndpoint.register(
                self._random_source.new_id(),
                account_id=account_id,
                address=self._sealer.seal(account_id, address),
                kinds=kinds,
                timestamp=self._clock.now(),
            )
            self.save(endpoint)
        return endpoint.id

    def change_endpoint(
        self,
        endpoint_id: UUID,
        *,
        account_id: UUID,
        kinds: Collection[NotificationKind] | None = None,
        enabled: bool | None = None,
    ) -> None:
        """Change what is named, all of it or nothing.

        :param kinds: what is told there from now on; None leaves it.
        :param enabled: whether anything is sent there; None leaves it.
        :raises Refused: ``WebhookNotFound`` or ``Locked``.
        """

        def change() -> None:
            endpoint = self.endpoint_of(account_id, endpoint_id)
            now = self._clock.now()
            if kinds is not None:
                endpoint.change_filter(kinds, timestamp=now)
            if enabled is True:
                endpoint.enable(by=account_id, timestamp=now)
            elif enabled is False:
                endpoint.disable(DisableReason.BY_HAND, by=account_id, timestamp=now)
            self.save(endpoint)

        self._retried(change)

    def delete_endpoint(self, endpoint_id: UUID, *, account_id: UUID) -> None:
        """Take an endpoint away for good; what is still to be told there is given up.

        :raises Refused: ``WebhookNotFound`` or ``Locked``.
        """

        def delete() -> None:
            endpoint = self.endpoint_of(account_id, endpoint_id)
            endpoint.delete(timestamp=self._clock.now())
            self.save(endpoint)

        self._retried(delete)

    def disable_endpoint(self, endpoint_id: UUID, reason: DisableReason) -> None:
        """Send nothing to an endpoint any more because of how it answers, or does not.

        :raises Refused: ``WebhookNotFound`` or ``Locked``.
        """

        def disable() -> None:
            endpoint = self.endpoint(endpoint_id)
            endpoint.disable(reason, timestamp=self._clock.now())
            self.save(endpoint)

        self._retried(disable)

    def endpoint(self, endpoint_id: UUID) -> WebhookEndpoint:
        """Return an endpoint, be it disabled or deleted.

        :raises Refused: ``WebhookNotFound``.
        """
        return self._load(WebhookEndpoint, endpoint_id, "WebhookNotFound")

    def endpoint_of(self, account_id: UUID, endpoint_id: UUID) -> WebhookEndpoint:
        """Return an account's endpoint.

        :raises Refused: ``WebhookNotFound``, also when it was deleted or is somebody else's.
        """
        endpoint = self.endpoint(endpoint_id)
        if endpoint.account_id != account_id or endpoint.deleted:
            raise Refused("WebhookNotFound")
        return endpoint

    def rotate_webhook_secret(self, account_id: UUID, *, overlap: timedelta = OVERLAP) -> int:
        """Sign what an account is told with another secret from now on; return its number.

        :param overlap: for how long the present one still signs beside it.
        :raises Refused: ``AnonForbidden`` or ``Locked``.
        """
        if account_id == ANONYMOUS_ID:
            raise Refused("AnonForbidden")

        def rotate() -> int:
            now = self._clock.now()
            secret = self._webhook_secret(account_id)
            if secret is None:
                secret = WebhookSecret.keep(account_id, timestamp=now)
            number = secret.rotate(overlap=overlap, timestamp=now)
            self.save(secret)
            return number

        return self._retried(rotate)

    def webhook_secret_numbers(self, account_id: UUID) -> tuple[int, ...]:
        """Return the numbers of the secrets that sign for an account now, the newest first; none
        for anonymous, whom nobody could tell a secret."""
        if account_id == ANONYMOUS_ID:
            return ()
        secret = self._webhook_secret(account_id)
        return (FIRST_NUMBER,) if secret is None else secret.numbers(self._clock.now())

    def _webhook_secret(self, account_id: UUID) -> WebhookSecret | None:
        try:
            secret: WebhookSecret = self.repository.get(webhook_secret_id_of(account_id))
        except AggregateNotFoundError:
            return None
        return secret
