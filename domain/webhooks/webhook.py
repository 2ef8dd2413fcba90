"""A request's own webhook: the address that it named, and what is told there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from domain.sealing import Sealed
from domain.webhooks.kinds import WEBHOOK_KINDS, TrackingKind

USUAL_KINDS = (TrackingKind.IMAGE, TrackingKind.ENDED)
"""What is told where a request does not say what it wants to hear: each image, and the end."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a request wants to be told of, as its first event has it."""

    address: Sealed
    destination: UUID
    """Known again by all that goes to the same place: see :class:`WebhookWish`."""
    kinds: tuple[TrackingKind, ...]


@dataclass(frozen=True, slots=True)
class WebhookWish:
    """The same as a client wrote it."""

    address: str
    destination: UUID
    """An id that this installation makes, with a key of its own, from the account and the address
    without its query. Deliveries of one destination share their places and their troubles, those
    of strangers who use the same host do not."""
    kinds: tuple[TrackingKind, ...] = USUAL_KINDS


def in_order(kinds: Collection[TrackingKind]) -> tuple[TrackingKind, ...]:
    """Return each kind that webhooks tell once and in one order: the same filter always reads the
    same."""
    return tuple(kind for kind in WEBHOOK_KINDS if kind in kinds)
