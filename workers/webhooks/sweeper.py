"""The sweep of webhooks: deliveries whose time is over are given up, though nobody tried them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import structlog

from workers.broker.tracing import where

_log = structlog.get_logger(__name__)

PORTION = 500
"""The most deliveries that one round gives up."""


class Late(Protocol):
    """The view of deliveries as the sweep sees it."""

    def late(self, now: datetime, limit: int) -> Sequence[UUID]:
        """Return deliveries that are still due after their time."""


class Claims(Protocol):
    """The claims as the sweep sees them."""

    def forget_those_over(self) -> None:
        """Drop the claims that have ended by themselves."""


class Ledger(Protocol):
    """The ledger as the sweep sees it."""

    def abandon_if_late(self, delivery_id: UUID) -> bool:
        """Try a delivery no more if its time is over; return whether that was so."""


def sweep_deliveries(
    due: Late, claims: Claims, ledger: Ledger, now: datetime, limit: int = PORTION
) -> int:
    """Give up what is late, and return how many deliveries that were.

    Any number of processes may sweep at once. One delivery that cannot be given up does not keep
    the others.
    """
    claims.forget_those_over()
    return sum(_given_up(ledger, delivery_id) for delivery_id in due.late(now, limit))


def _given_up(ledger: Ledger, delivery_id: UUID) -> bool:
    try:
        return ledger.abandon_if_late(delivery_id)
    except Exception as error:
        _log.warning(
            "delivery not given up",
            delivery=str(delivery_id),
            error=type(error).__name__,
            where=where(error),
        )
        return False
