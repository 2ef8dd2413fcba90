"""How events change the rows of webhook endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, insert, update

from domain.tracking_kind import TrackingKind
from domain.webhook_endpoint import WebhookEndpoint
from projections.delivery_tables import WEBHOOK_ENDPOINT


def change_endpoint(connection: Connection, position: int, event: WebhookEndpoint.Event) -> None:
    """Change the row of the endpoint to which this happened.

    :param position: the event's place in the log.
    """
    match event:
        case WebhookEndpoint.Registered():
            row = {
                "endpoint_id": event.originator_id,
                "account_id": event.account_id,
                "kinds": _listed(event.kinds),
                "disabled": None,
                "registered_at_position": position,
                "created_at": event.timestamp,
            }
            connection.execute(insert(WEBHOOK_ENDPOINT), row)
        case WebhookEndpoint.FilterChanged():
            _set(connection, event.originator_id, kinds=_listed(event.kinds))
        case WebhookEndpoint.Disabled():
            _set(connection, event.originator_id, disabled=event.reason.value)
        case WebhookEndpoint.Enabled():
            _set(connection, event.originator_id, disabled=None)
        case WebhookEndpoint.Deleted():
            connection.execute(
                delete(WEBHOOK_ENDPOINT).where(
                    WEBHOOK_ENDPOINT.c.endpoint_id == event.originator_id
                )
            )


def _set(connection: Connection, endpoint_id: UUID, **values: Any) -> None:
    this = WEBHOOK_ENDPOINT.c.endpoint_id == endpoint_id
    connection.execute(update(WEBHOOK_ENDPOINT).where(this).values(values))


def _listed(kinds: Sequence[TrackingKind]) -> str:
    return ",".join(kind.value for kind in kinds)
