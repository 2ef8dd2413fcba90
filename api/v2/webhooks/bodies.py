"""Bodies about deliveries: from the list of all, and with each attempt from the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.v2.webhooks.feature import WebhooksFeature
from domain.sealing import Forgotten, Sealed
from domain.webhooks.delivery import WebhookDelivery
from projections.webhooks.history.attempts import DeliveryAttempts, attempt_data
from projections.webhooks.history.reader import DeliveryRow


def opened(feature: WebhooksFeature, sealed: Sealed | None) -> str | None:
    """Return what was sealed; None where nothing was, or whose it was has been forgotten."""
    if sealed is None:
        return None
    try:
        return feature.sealer.open(sealed)
    except Forgotten:
        return None


def summary_of(row: DeliveryRow) -> Mapping[str, Any]:
    """Return the body of a delivery in a list."""
    return {
        "id": row.delivery_id,
        "event": row.kind,
        "request": row.request_id,
        "about": row.about,
        "step": row.step,
        "endpoint": row.endpoint_id,
        "state": row.state,
        "happened_at": row.happened_at,
        "scheduled_at": row.scheduled_at,
        "due_at": row.due_at,
        "give_up_at": row.give_up_at,
        "attempts": row.attempts,
        "last_status": row.last_status,
        "last_problem": row.last_problem,
        "last_attempt_at": row.last_attempt_at,
        "last_seconds": row.last_seconds,
        "given_up_because": row.given_up_because,
        "given_up_at": row.given_up_at,
    }


def details_of(feature: WebhooksFeature, delivery: WebhookDelivery) -> Mapping[str, Any]:
    """Return the body of a delivery with each of its attempts."""
    history = DeliveryAttempts.read(feature.log, delivery)
    attempts, abandoned = history.attempts, history.abandoned
    last = attempts[-1] if attempts else None
    return {
        "id": delivery.id,
        "event": delivery.kind,
        "request": delivery.request_id,
        "about": delivery.about,
        "step": delivery.step,
        "endpoint": delivery.endpoint_id,
        "state": delivery.state,
        "happened_at": delivery.happened_at,
        "scheduled_at": delivery.created_on,
        "due_at": delivery.due_at,
        "give_up_at": delivery.give_up_at,
        "attempts": delivery.attempts,
        "last_status": last and last.status,
        "last_problem": last and last.problem,
        "last_attempt_at": last and last.timestamp,
        "last_seconds": last and last.seconds,
        "given_up_because": abandoned and abandoned.reason,
        "given_up_at": abandoned and abandoned.timestamp,
        "tries": [attempt_data(each, opened(feature, each.answer)) for each in attempts],
    }
