"""The secret that signs an account's deliveries, and how it is replaced.

No event holds a secret: an installation makes the secret of each number from its master key, so
the history only says which numbers there are, and for how long the one before still counts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self
from uuid import UUID, uuid5

from eventsourcing.domain import Aggregate

FIRST_NUMBER = 1
"""The number of the secret that an account has before it ever replaced one."""

OVERLAP = timedelta(hours=24)
"""By default, how long a secret that was replaced still signs beside the new one."""

LONGEST_OVERLAP = timedelta(days=7)

_SECRETS = UUID("4f2cf7d1-0d0c-4d36-8a86-60a4a1f0e6a3")


def webhook_secret_id_of(account_id: UUID) -> UUID:
    """Return the id of the stream of an account's secrets."""
    return uuid5(_SECRETS, str(account_id))


class WebhookSecret(Aggregate):
    """Which secrets sign the deliveries of an account."""

    TOPIC = "WebhookSecret"

    class Event(Aggregate.Event):
        """Something that happened to an account's secrets."""

    class Created(Event, Aggregate.Created):
        """What the library wants a first event to be; never stored by itself."""

        TOPIC = "WebhookSecret.Created"

    class Kept(Created):
        """An account that is about to replace its first secret had that one."""

        TOPIC = "WebhookSecret.Kept"
        account_id: UUID

    class Rotated(Event):
        """It has a new secret; the one before signs beside it for a while."""

        TOPIC = "WebhookSecret.Rotated"
        number: int
        former_until: datetime
        """Until when the secret before this one still signs; older ones do no more."""

        def apply(self, aggregate: WebhookSecret) -> None:
            """Remember both."""
            aggregate.number = self.number
            aggregate.former_until = self.former_until

    def __init__(self, account_id: UUID) -> None:
        """Start with the first secret; called with the facts of :class:`Kept`."""
        self.account_id = account_id
        self.number = FIRST_NUMBER
        self.former_until: datetime | None = None

    @classmethod
    def keep(cls, account_id: UUID, *, timestamp: datetime) -> Self:
        """Return an account's secrets with their first event pending."""
        return cls._create(
            cls.Kept,
            id=webhook_secret_id_of(account_id),
            account_id=account_id,
            timestamp=timestamp,
        )

    def rotate(self, *, overlap: timedelta = OVERLAP, timestamp: datetime) -> int:
        """Sign with another secret from now on; return its number.

        :param overlap: for how long the present secret still signs; zero where it leaked.
        """
        self.trigger_event(
            self.Rotated,
            number=self.number + 1,
            former_until=timestamp + overlap,
            timestamp=timestamp,
        )
        return self.number

    def numbers(self, now: datetime) -> tuple[int, ...]:
        """Return the numbers of what signs at this time, the newest first: one, or two after a
        rotation."""
        if self.former_until is None or now >= self.former_until:
            return (self.number,)
        return (self.number, self.number - 1)
