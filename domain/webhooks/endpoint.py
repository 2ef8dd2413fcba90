"""A webhook endpoint: an address to which the notifications of all an account's requests go."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from eventsourcing.domain import Aggregate

from domain.sealing import Sealed
from domain.webhooks.notification import TEST, NotificationKind


class DisableReason(StrEnum):
    """Why nothing is sent to an endpoint any more."""

    GONE = "gone"
    """It answered that it is gone (410)."""
    DEAD = "dead"
    """Nothing arrived there for days."""
    BY_HAND = "by_hand"
    """Its account or an operator disabled it."""


class WebhookEndpoint(Aggregate):
    """An address for an account's notifications, and which kinds go there.

    The address is sealed under the account's key: forgetting the account forgets it.
    """

    TOPIC = "WebhookEndpoint"

    class Event(Aggregate.Event):
        """Something that happened to an endpoint."""

    class Created(Event, Aggregate.Created):
        """What the library wants a first event to be; never stored by itself."""

        TOPIC = "WebhookEndpoint.Created"

    class Registered(Created):
        """An account has an address for its notifications."""

        TOPIC = "WebhookEndpoint.Registered"
        account_id: UUID
        address: Sealed
        kinds: tuple[NotificationKind, ...]
        """Which kinds of notifications go there."""

    class FilterChanged(Event):
        """Other kinds of notifications go there."""

        TOPIC = "WebhookEndpoint.FilterChanged"
        kinds: tuple[NotificationKind, ...]

        def apply(self, aggregate: WebhookEndpoint) -> None:
            """Remember which."""
            aggregate.kinds = self.kinds

    class Disabled(Event):
        """Nothing is sent there until it is enabled again."""

        TOPIC = "WebhookEndpoint.Disabled"
        reason: DisableReason
        by: UUID | None
        """The account that disabled it; None where the answers, or their absence, did."""

        def apply(self, aggregate: WebhookEndpoint) -> None:
            """Remember why."""
            aggregate.disabled = self.reason

    class Enabled(Event):
        """It is used again."""

        TOPIC = "WebhookEndpoint.Enabled"
        by: UUID
        """The account that enabled it."""

        def apply(self, aggregate: WebhookEndpoint) -> None:
            """Use it."""
            aggregate.disabled = None

    class Deleted(Event):
        """It is gone for good."""

        TOPIC = "WebhookEndpoint.Deleted"

        def apply(self, aggregate: WebhookEndpoint) -> None:
            """Close it."""
            aggregate.deleted = True

    def __init__(
        self,
        account_id: UUID,
        address: Sealed,
        kinds: tuple[NotificationKind, ...],
    ) -> None:
        """Start enabled; called with the facts of :class:`Registered`."""
        self.account_id = account_id
        self.address = address
        self.kinds = kinds
        self.disabled: DisableReason | None = None
        self.deleted = False

    @classmethod
    def register(
        cls,
        endpoint_id: UUID,
        *,
        account_id: UUID,
        address: Sealed,
        kinds: Collection[NotificationKind],
        timestamp: datetime,
    ) -> Self:
        """Return a new endpoint with its first event pending.

        :param kinds: which notifications go there; tests always do.
        """
        return cls._create(
            cls.Registered,
            id=endpoint_id,
            account_id=account_id,
            address=address,
            kinds=tuple(dict.fromkeys(kinds)),
            timestamp=timestamp,
        )

    @property
    def is_enabled(self) -> bool:
        """Whether notifications go there."""
        return not self.deleted and self.disabled is None

    def accepts(self, kind: NotificationKind) -> bool:
        """Return whether a delivery that was scheduled for it may still be sent.

        A test may, also to a disabled endpoint: so a repair can be checked before enabling it. The
        filter decides when a delivery is scheduled, not when it is sent.
        """
        return not self.deleted if kind == TEST else self.is_enabled

    def change_filter(self, kinds: Collection[NotificationKind], *, timestamp: datetime) -> None:
        """Change which kinds go there; the same as before, or once deleted, changes nothing."""
        chosen = tuple(dict.fromkeys(kinds))
        if not self.deleted and set(chosen) != set(self.kinds):
            self.trigger_event(self.FilterChanged, kinds=chosen, timestamp=timestamp)

    def disable(
        self, reason: DisableReason, *, by: UUID | None = None, timestamp: datetime
    ) -> None:
        """Send nothing there any more; disabled or deleted already is no error."""
        if self.is_enabled:
            self.trigger_event(self.Disabled, reason=reason, by=by, timestamp=timestamp)

    def enable(self, *, by: UUID, timestamp: datetime) -> None:
        """Use it again; nothing happens where it is in use, or deleted."""
        if not self.deleted and self.disabled is not None:
            self.trigger_event(self.Enabled, by=by, timestamp=timestamp)

    def delete(self, *, timestamp: datetime) -> None:
        """Take it away for good; gone already is no error."""
        if not self.deleted:
            self.trigger_event(self.Deleted, timestamp=timestamp)
