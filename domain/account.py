"""An account: who may ask for images or run workers, under which key, in which roles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from eventsourcing.domain import Aggregate

ANONYMOUS_ID = UUID(int=0)
"""The account of everybody who shows the anonymous key. It has no stream: nothing of it changes,
and nothing that strangers do may meet in one place."""


@dataclass(frozen=True, slots=True)
class Roles:
    """What an account may do beyond asking for images."""

    trusted: bool = False
    patron: bool = False
    moderator: bool = False

    @property
    def may_disable_batching(self) -> bool:
        """Whether it may have every image made as a job of its own."""
        return self.trusted or self.patron


class Account(Aggregate):
    """Somebody with an API key. The key itself is shown once and never stored, only its digest."""

    TOPIC = "Account"

    class Event(Aggregate.Event):
        """Something that happened to an account."""

    class Created(Event, Aggregate.Created):
        """What the library wants a first event to be; never stored by itself."""

        TOPIC = "Account.Created"

    class Opened(Created):
        """An account was opened with its first key."""

        TOPIC = "Account.Opened"
        name: str
        key_digest: str
        """SHA-256 of the API key, hexadecimal."""
        roles: Roles

    class KeyRegenerated(Event):
        """A new key took the old one's place."""

        TOPIC = "Account.KeyRegenerated"
        key_digest: str

        def apply(self, aggregate: Account) -> None:
            """Forget the old key."""
            aggregate.key_digest = self.key_digest

    class RolesChanged(Event):
        """It may do more, or less, than before."""

        TOPIC = "Account.RolesChanged"
        roles: Roles

        def apply(self, aggregate: Account) -> None:
            """Remember the roles."""
            aggregate.roles = self.roles

    def __init__(self, name: str, key_digest: str, roles: Roles) -> None:
        """Start with one key; called with the facts of :class:`Opened`."""
        self.name = name
        self.key_digest = key_digest
        self.roles = roles

    @classmethod
    def open(
        cls, account_id: UUID, *, name: str, key_digest: str, roles: Roles, timestamp: datetime
    ) -> Self:
        """Return a new account with its first event pending."""
        return cls._create(
            cls.Opened,
            id=account_id,
            name=name,
            key_digest=key_digest,
            roles=roles,
            timestamp=timestamp,
        )

    def regenerate_key(self, key_digest: str, *, timestamp: datetime) -> None:
        """Put a new key in the old one's place."""
        self.trigger_event(self.KeyRegenerated, key_digest=key_digest, timestamp=timestamp)

    def change_roles(self, roles: Roles, *, timestamp: datetime) -> None:
        """Give or take roles."""
        if roles != self.roles:
            self.trigger_event(self.RolesChanged, roles=roles, timestamp=timestamp)
