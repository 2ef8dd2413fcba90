"""The tries of one webhook delivery, out of the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from domain.webhooks.delivery import DeliveryState, WebhookDelivery
from projections.view import Log


@dataclass(frozen=True, slots=True)
class DeliveryHistory:
    """What came of a delivery so far."""

    tries: Sequence[WebhookDelivery.Attempted]
    given_up: WebhookDelivery.Abandoned | None
    """Why it is not tried any more; None where it is, or was delivered."""

    @classmethod
    def read(cls, log: Log, delivery: WebhookDelivery) -> Self:
        """Return what is committed of a delivery."""
        tries, given_up = [], None
        for record in log.tails({delivery.id: 0}):
            if isinstance(record.event, WebhookDelivery.Attempted):
                tries.append(record.event)
            elif isinstance(record.event, WebhookDelivery.Abandoned):
                given_up = record.event
        is_given_up = delivery.state is DeliveryState.ABANDONED
        return cls(tries, given_up if is_given_up else None)


def try_data(event: WebhookDelivery.Attempted, answer: str | None) -> dict[str, Any]:
    """Return a try as it is told.

    :param answer: how the answer began; None where nothing is told of that.
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
