"""The sweep of webhooks: abandons deliveries whose time is over, even those never attempted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import structlog

from domain.tracing import where

_log = structlog.get_logger(__name__)

PORTION = 500
"""The most deliveries that one round abandons."""


class DueDeliveries(Protocol):
    """The view of due deliveries as the sweep sees it."""

    def late(self, now: datetime, limit: int) -> Sequence[UUID]:
        """Return deliveries that are still due though their time is over."""


class Claims(Protocol):
    """The claims as the sweep sees them."""

    def delete_expired(self) -> None:
        """Delete the claims that have expired."""


class Ledger(Protocol):
    """The ledger as the sweep sees it."""

    def abandon_if_late(self, delivery_id: UUID) -> bool:
        """Abandon a delivery if its time is over; return whether it was."""


def sweep_deliveries(
    due: DueDeliveries, claims: Claims, ledger: Ledger, now: datetime, limit: int = PORTION
) -> int:
    """Abandon late deliveries, and return how many they were.

    Any number of processes may sweep at once. One delivery that cannot be abandoned does not keep
    the others.
    """
    claims.delete_expired()
    return sum(_abandoned(ledger, delivery_id) for delivery_id in due.late(now, limit))


def _abandoned(ledger: Ledger, delivery_id: UUID) -> bool:
    try:
        return ledger.abandon_if_late(delivery_id)
    except Exception as error:
        _log.warning(
            "delivery not abandoned",
            delivery=str(delivery_id),
            error=type(error).__name__,
            where=where(error),
        )
        return False
