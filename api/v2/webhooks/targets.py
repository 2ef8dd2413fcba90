"""Targets of webhooks, as clients name them: read and checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from api.http.fields import WebhookEvent
from domain.return_codes import Refused
from domain.service.fetching import FetchFailed, FetchProblem
from domain.webhooks.notification import NotificationKind
from domain.webhooks.webhook import WebhookTarget
from projections.tracking.notifications import DEFAULT_KINDS, WEBHOOK_KINDS

_NO_ADDRESS = "there is no webhook that they are for"


class WebhookKeys(Protocol):
    """The port to the keys that sign webhooks, and to what their addresses are known by."""

    def secret(self, account_id: UUID, number: int) -> str:
        """Return an account's secret (``whsec_…``) of this number, 1 for its first."""

    def public_key(self, account_id: UUID) -> str:
        """Return an account's public key (``whpk_…``)."""

    def destination(self, account_id: UUID, address: str) -> UUID:
        """Return the destination of an account's webhook: see
        :class:`domain.webhooks.webhook.WebhookTarget`."""


@dataclass(frozen=True, slots=True)
class WebhookTargets:
    """Reads and checks the addresses that requests and accounts name."""

    require_address: Callable[[str], None]
    """Raises FetchFailed for an address that could be called in no case; looks nothing up."""
    keys: WebhookKeys

    def of_request(
        self, address: str | None, events: Sequence[WebhookEvent] | None, *, account_id: UUID
    ) -> WebhookTarget | None:
        """Return the webhook that a request wants; None where it wants none.

        :raises Refused: ``WebhookInvalid``, or ``BadRequest`` for events without a webhook.
        """
        if address is None:
            if events is not None:
                raise Refused(
                    "BadRequest", f"webhook_events: {_NO_ADDRESS}", {"webhook_events": _NO_ADDRESS}
                )
            return None
        return WebhookTarget(
            address=self.checked_address(address, field="webhook"),
            destination=self.keys.destination(account_id, address),
            kinds=kinds_from(events),
        )

    def checked_address(self, address: str, *, field: str) -> str:
        """Return an address that may be called, as far as that can be said without looking it up.

        :param field: where the client wrote it.
        :raises Refused: ``WebhookInvalid``.
        """
        if "#" in address:
            raise Refused("WebhookInvalid", errors={field: "must have no fragment"})
        try:
            self.require_address(address)
        except FetchFailed as failed:
            raise Refused("WebhookInvalid", errors={field: _said_of(failed.problem)}) from None
        return address


def _said_of(problem: FetchProblem) -> str:
    if problem is FetchProblem.ADDRESS_REFUSED:
        return "must name a public host, and port 443 or one above 1023"
    return "must be an https address without a name or a password"


def kinds_from(events: Sequence[WebhookEvent] | None) -> tuple[NotificationKind, ...]:
    """Return the kinds that a list of events names, always in one order; None: the default."""
    if events is None:
        return DEFAULT_KINDS
    return tuple(kind for kind in WEBHOOK_KINDS if kind in events)
