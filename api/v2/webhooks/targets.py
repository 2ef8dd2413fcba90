"""The addresses and the events that requests and endpoints name: read and checked."""

from __future__ import annotations

from collections.abc import Sequence

from api.context import Context
from api.http.fields import WebhookEvent
from api.v2.requests.schemas import GenerationInputStable, ReplicationInput
from domain.accounts.directory import AccountEntry
from domain.return_codes import Refused
from domain.service.fetching import FetchFailed, FetchProblem
from domain.webhooks.kinds import DEFAULT_KINDS, NotificationKind, sorted_kinds
from domain.webhooks.webhook import WebhookTarget

_NO_ADDRESS = "there is no webhook that they are for"


def webhook_target(
    given: GenerationInputStable | ReplicationInput, account: AccountEntry, hoard: Context
) -> WebhookTarget | None:
    """Return the webhook that a request names; None where it names none.

    :raises Refused: ``WebhookInvalid``, or ``BadRequest`` for events without a webhook.
    """
    if given.webhook is None:
        if given.webhook_events is not None:
            raise Refused(
                "BadRequest", f"webhook_events: {_NO_ADDRESS}", {"webhook_events": _NO_ADDRESS}
            )
        return None
    return WebhookTarget(
        address=checked_address(given.webhook, hoard, field="webhook"),
        destination=hoard.services.webhook_keys.destination(account.account_id, given.webhook),
        kinds=kinds_from(given.webhook_events),
    )


def checked_address(address: str, hoard: Context, *, field: str) -> str:
    """Return an address that may be called, as far as that can be said without looking it up.

    :param field: where the client wrote it.
    :raises Refused: ``WebhookInvalid``.
    """
    if "#" in address:
        raise Refused("WebhookInvalid", errors={field: "must have no fragment"})
    try:
        hoard.services.require_webhook_address(address)
    except FetchFailed as failed:
        raise Refused("WebhookInvalid", errors={field: _said_of(failed.trouble)}) from None
    return address


def _said_of(trouble: FetchProblem) -> str:
    if trouble is FetchProblem.ADDRESS_REFUSED:
        return "must name a public host, and port 443 or one above 1023"
    return "must be an https address without a name or a password"


def kinds_from(events: Sequence[WebhookEvent] | None) -> tuple[NotificationKind, ...]:
    """Return the kinds that a list of events names; None: each image, and the end."""
    if events is None:
        return DEFAULT_KINDS
    return sorted_kinds([NotificationKind(event) for event in events])
