"""The attempts of one webhook delivery, out of the log, as the API and the CLI show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from domain.webhooks.delivery import DeliveryState, WebhookDelivery
from projections.view import Log


@dataclass(frozen=True, slots=True)
class DeliveryAttempts:
    """What came of a delivery so far."""

    attempts: Sequence[WebhookDelivery.Attempted]
    """The first one first."""
    abandoned: WebhookDelivery.Abandoned | None
    """Why no further attempt is made; None where one is, or where it was delivered."""

    @classmethod
    def read(cls, log: Log, delivery: WebhookDelivery) -> Self:
        """Return the committed attempts of a delivery."""
        attempts, abandoned = [], None
        for record in log.tails({delivery.id: 0}):
            if isinstance(record.event, WebhookDelivery.Attempted):
                attempts.append(record.event)
            elif isinstance(record.event, WebhookDelivery.Abandoned):
                abandoned = record.event
        is_abandoned = delivery.state is DeliveryState.ABANDONED
        return cls(attempts, abandoned if is_abandoned else None)


def attempt_data(event: WebhookDelivery.Attempted, answer: str | None) -> dict[str, Any]:
    """Return the body that describes an attempt.

    :param answer: the beginning of the answer's body; None where there is nothing to show.
    """
    return {
        "number": event.number,
        "at": event.timestamp,
        "status": event.status,
        "problem": event.problem,
        "seconds": event.seconds,
        "answer": answer,
        "retry_after": event.retry_after,
        "again_at": event.again_at,
    }
