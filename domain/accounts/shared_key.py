"""A shared key: an API key that an account lends out, with limits and an end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from eventsourcing.domain import Aggregate


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """How far a shared key goes; None is without a limit."""

    kudos: int | None = None
    """What requests under it may burn in all, their holds included."""
    ends_at: datetime | None = None
    max_image_pixels: int | None = None
    """Pixels of the largest image that may be asked for."""
    max_image_steps: int | None = None
    """The most steps that may be asked for."""


def shared_key_id_of(key_digest: str) -> UUID:
    """Return the public id of a shared key: the first half of its key's SHA-256.

    So the API can be asked about a shared key by the key as well as by its id, and nothing has to
    be stored from which the key follows.

    :param key_digest: 64 hexadecimal digits.
    """
    return UUID(hex=key_digest[:32])


class SharedKey(Aggregate):
    """A key under which others ask for images in its owner's name, from its owner's kudos."""

    TOPIC = "SharedKey"

    class Event(Aggregate.Event):
        """Something that happened to a shared key."""

    class Created(Event, Aggregate.Created):
        """What the library wants a first event to be; never stored by itself."""

        TOPIC = "SharedKey.Created"

    class Issued(Created):
        """An account made it."""

        TOPIC = "SharedKey.Issued"
        owner_id: UUID
        name: str
        key_digest: str
        """SHA-256 of the key, hexadecimal."""
        limits: KeyLimits

    class Changed(Event):
        """Its name or its limits changed."""

        TOPIC = "SharedKey.Changed"
        name: str
        limits: KeyLimits

        def apply(self, aggregate: SharedKey) -> None:
            """Remember both."""
            aggregate.name = self.name
            aggregate.limits = self.limits

    class Revoked(Event):
        """Its owner took it back for good."""

        TOPIC = "SharedKey.Revoked"

        def apply(self, aggregate: SharedKey) -> None:
            """Close it."""
            aggregate.revoked = True

    def __init__(self, owner_id: UUID, name: str, key_digest: str, limits: KeyLimits) -> None:
        """Start unused; called with the facts of :class:`Issued`."""
        self.owner_id = owner_id
        self.name = name
        self.key_digest = key_digest
        self.limits = limits
        self.revoked = False

    @classmethod
    def issue(
        cls,
        key_id: UUID,
        *,
        owner_id: UUID,
        name: str,
        key_digest: str,
        limits: KeyLimits,
        timestamp: datetime,
    ) -> Self:
        """Return a new shared key with its first event pending."""
        return cls._create(
            cls.Issued,
            id=key_id,
            owner_id=owner_id,
            name=name,
            key_digest=key_digest,
            limits=limits,
            timestamp=timestamp,
        )

    def change(self, name: str, limits: KeyLimits, *, timestamp: datetime) -> None:
        """Rename it, or set its limits anew."""
        if (name, limits) != (self.name, self.limits):
            self.trigger_event(self.Changed, name=name, limits=limits, timestamp=timestamp)

    def revoke(self, *, timestamp: datetime) -> None:
        """Revoke it for good; revoked already is no error."""
        if not self.revoked:
            self.trigger_event(self.Revoked, timestamp=timestamp)
