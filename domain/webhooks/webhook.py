"""A request's own webhook: the address that it named, and what is told there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from domain.sealing import Sealed
from domain.webhooks.kinds import WEBHOOK_KINDS, NotificationKind

USUAL_KINDS = (NotificationKind.IMAGE, NotificationKind.ENDED)
"""What is told where a request does not say what it wants to hear: each image, and the end."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a request wants to be told of, as its first event has it."""

    address: Sealed
    destination: UUID
    """Known again by all that goes to the same place: see :class:`WebhookTarget`."""
    kinds: tuple[NotificationKind, ...]


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """The same as a client wrote it."""

    address: str
    destination: UUID
    """An id that this installation makes, with a key of its own, from the account and the address
    without its query. Deliveries of one destination share their places and their troubles, those
    of strangers who use the same host do not."""
    kinds: tuple[NotificationKind, ...] = USUAL_KINDS


def in_order(kinds: Collection[NotificationKind]) -> tuple[NotificationKind, ...]:
    """Return each kind that webhooks tell once and in one order: the same filter always reads the
    same."""
    return tuple(kind for kind in WEBHOOK_KINDS if kind in kinds)
