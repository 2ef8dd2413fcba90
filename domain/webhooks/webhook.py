"""A request's own webhook: the address that it named, and the kinds of notifications for it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from domain.sealing import Sealed
from domain.webhooks.notification import NotificationKind


@dataclass(frozen=True, slots=True)
class Webhook:
    """A request's webhook as its first event has it."""

    address: Sealed
    destination: UUID
    """See :class:`WebhookTarget`."""
    kinds: tuple[NotificationKind, ...]


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """A request's webhook as the client named it."""

    address: str
    destination: UUID
    """An id that this installation makes, with a key of its own, from the account and the address
    without its query. Deliveries to one destination share their order, their limits and their
    circuit; those of other accounts that use the same host do not."""
    kinds: tuple[NotificationKind, ...]
