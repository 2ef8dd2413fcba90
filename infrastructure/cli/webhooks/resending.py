"""Resending webhook deliveries, one or many."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.webhooks.delivery import DeliveryState, WebhookDelivery
from infrastructure.bootstrap import Hoard
from infrastructure.cli.projections.replay import ReplayBar
from infrastructure.cli.terminal.output import Output, instant
from infrastructure.cli.webhooks.lists import LIST_IS_BEHIND, is_list_behind


def resend_one(hoard: Hoard, delivery: WebhookDelivery, output: Output) -> None:
    """Send a delivery again, unless it is still being sent."""
    is_due = delivery.is_due
    if not is_due:
        hoard.ledger.webhooks.resend(delivery.id, by=None)
    output.record({"delivery_id": delivery.id, "resent": not is_due})
    output.say(f"Delivery {delivery.id} is {'still being sent' if is_due else 'sent again'}.")
    endpoint_id = delivery.endpoint_id
    if endpoint_id is not None and not hoard.ledger.webhooks.endpoint(endpoint_id).is_enabled:
        output.remark("Its endpoint is disabled: it will be abandoned, unless that is enabled.")


def resend_all(hoard: Hoard, since: datetime, account_id: UUID | None, output: Output) -> None:
    """Send again all that was abandoned since a moment.

    :param account_id: only this account's.
    """
    portions = hoard.views.webhooks.all_abandoned_since(since, account_id=account_id)
    failed = [delivery_id for portion in portions for delivery_id in portion]
    resent = 0
    with ReplayBar(output, "sending again") as bar:
        for number, delivery_id in enumerate(failed, 1):
            # The list may not know yet that it was resent.
            if hoard.ledger.webhooks.delivery(delivery_id).state is DeliveryState.ABANDONED:
                hoard.ledger.webhooks.resend(delivery_id, by=None)
                resent += 1
            bar.progress(number, len(failed))
    output.record({"resent": resent, "since": since})
    noun = "delivery is" if resent == 1 else "deliveries are"
    output.say(f"{resent} {noun} sent again, of what was abandoned since {instant(since)}.")
    if is_list_behind(hoard):
        output.remark(LIST_IS_BEHIND)
