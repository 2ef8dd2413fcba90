"""How events change the list of all deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table

from domain.webhooks.backoff import AbandonReason
from domain.webhooks.delivery import DeliveryState, WebhookDelivery
from projections.sql.bulk import Bulk
from projections.view import NotFollowing, RecordedEvent
from projections.webhooks.history.tables import WEBHOOK_DELIVERY

_deliveries = Bulk(WEBHOOK_DELIVERY)

_WITHOUT_ATTEMPTS: dict[str, Any] = {
    "state": DeliveryState.DUE,
    "attempts": 0,
    "last_status": None,
    "last_problem": None,
    "last_attempt_at": None,
    "last_seconds": None,
    "given_up_because": None,
    "given_up_at": None,
}


class DeliveryHistoryView:
    """Keeps a row of every delivery."""

    name = "webhooks"
    tables: Sequence[Table] = (WEBHOOK_DELIVERY,)

    def apply(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        """Note which deliveries were scheduled, attempted, settled and resent.

        :raises NotFollowing: when the first event of one of them is missing.
        """
        changes = [
            (record.position, record.event)
            for record in records
            if isinstance(record.event, WebhookDelivery.Event)
        ]
        new = {
            event.originator_id
            for _, event in changes
            if isinstance(event, WebhookDelivery.Scheduled)
        }
        older = {event.originator_id for _, event in changes} - new
        rows = {row["delivery_id"]: row for row in _deliveries.by_key(connection, older)}
        for position, event in changes:
            if isinstance(event, WebhookDelivery.Scheduled):
                rows[event.originator_id] = _scheduled(event, position)
            elif event.originator_id in rows:
                rows[event.originator_id].update(_changes(event))
            else:
                raise NotFollowing(f"{type(event).__qualname__} of an unknown delivery")
        _deliveries.put(connection, rows.values())


def _scheduled(event: WebhookDelivery.Scheduled, position: int) -> dict[str, Any]:
    return _WITHOUT_ATTEMPTS | {
        "delivery_id": event.originator_id,
        "account_id": event.account_id,
        "request_id": event.request_id,
        "kind": event.kind,
        "about": event.about,
        "step": event.step,
        "endpoint_id": event.endpoint_id,
        "destination": event.destination,
        "scheduled_at": event.timestamp,
        "happened_at": event.happened_at,
        "due_at": event.timestamp,
        "give_up_at": event.give_up_at,
        "position": position,
    }


def _changes(event: WebhookDelivery.Event) -> dict[str, Any]:
    """Return what an event that is not the first changes of a row."""
    match event:
        case WebhookDelivery.Attempted():
            return {
                "attempts": event.number,
                "last_status": event.status,
                "last_problem": event.problem,
                "last_attempt_at": event.timestamp,
                "last_seconds": event.seconds,
                "due_at": event.again_at,
            }
        case WebhookDelivery.Delivered():
            return _settled(DeliveryState.DELIVERED)
        case WebhookDelivery.Abandoned():
            return _settled(DeliveryState.ABANDONED, event.reason, event.timestamp)
        case WebhookDelivery.Resent():
            due = {"due_at": event.timestamp, "give_up_at": event.give_up_at}
            return _settled(DeliveryState.DUE) | due
        case _:
            return {}


def _settled(
    state: DeliveryState, reason: AbandonReason | None = None, at: datetime | None = None
) -> dict[str, Any]:
    return {"state": state, "due_at": None, "given_up_because": reason, "given_up_at": at}
