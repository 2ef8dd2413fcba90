"""An account: who may ask for images or run workers, under which key, in which roles."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from eventsourcing.domain import Aggregate

from domain.accounts.roles import Roles
from domain.return_codes import Refused
from domain.sealing import Sealed

ANONYMOUS_ID = UUID(int=0)
"""The account of everybody who shows the anonymous key. It has no stream, so that anonymous
requests never wait for one another."""

_UNNUMBERED = 1_000_000_000
"""Where the numbers of accounts begin that were opened before accounts had numbers."""


class Account(Aggregate):
    """The holder of an API key. The key itself is shown once and never stored, only its digest."""

    TOPIC = "Account"

    class Event(Aggregate.Event):
        """Something that happened to an account."""

    class Created(Event, Aggregate.Created):
        """What the library wants a first event to be; never stored by itself."""

        TOPIC = "Account.Created"

    class Opened(Created):
        """An account was opened with its first key."""

        TOPIC = "Account.Opened"
        class_version = 2
        name: str
        number: int
        """What clients know it by: it is called ``name#number``. Unique; 0 is anonymous."""
        key_digest: str
        """SHA-256 of the API key, hexadecimal."""
        roles: Roles
        contact: Sealed | None
        """How to reach the account's holder."""

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            """A number is made from the key's digest, the one fact about it that never changes."""
            state |= {
                "number": _UNNUMBERED + int(state["key_digest"][:7], 16),
                "contact": None,
            }

    class KeyRegenerated(Event):
        """A new key replaced the old one."""

        TOPIC = "Account.KeyRegenerated"
        key_digest: str

        def apply(self, aggregate: Account) -> None:
            """Forget the old key."""
            aggregate.key_digest = self.key_digest

    class RolesChanged(Event):
        """It may do more, or less, than before."""

        TOPIC = "Account.RolesChanged"
        class_version = 2
        roles: Roles
        by: UUID | None
        """The account that decided; None for trust that was earned by work, or the operator."""

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            """Only the operator could change roles."""
            state["by"] = None

        def apply(self, aggregate: Account) -> None:
            """Set the roles, and whether trust was withdrawn."""
            aggregate.trust_withdrawn = not self.roles.trusted and (
                aggregate.trust_withdrawn or aggregate.roles.trusted
            )
            aggregate.roles = self.roles

    class Renamed(Event):
        """It has another name; the number stays."""

        TOPIC = "Account.Renamed"
        name: str

        def apply(self, aggregate: Account) -> None:
            """Remember the name."""
            aggregate.name = self.name

    class ContactChanged(Event):
        """It is reached in another way."""

        TOPIC = "Account.ContactChanged"
        contact: Sealed | None

        def apply(self, aggregate: Account) -> None:
            """Remember the contact."""
            aggregate.contact = self.contact

    class LimitsChanged(Event):
        """It may have more, or less, at a time."""

        TOPIC = "Account.LimitsChanged"
        concurrency: int | None
        """Images that may wait at a time, 0 to 500; None: what is allowed to everybody."""
        worker_invited: int
        """Workers that it may run beside those that everybody may, and while only the invited
        may."""
        by: UUID | None

        def apply(self, aggregate: Account) -> None:
            """Remember the limits."""
            aggregate.concurrency = self.concurrency
            aggregate.worker_invited = self.worker_invited

    class WorkersPublished(Event):
        """Its workers are shown to everybody as its own, or no longer."""

        TOPIC = "Account.WorkersPublished"
        public: bool

        def apply(self, aggregate: Account) -> None:
            """Remember the choice."""
            aggregate.public_workers = self.public

    class CommentChanged(Event):
        """The moderators' comment on it changed."""

        TOPIC = "Account.CommentChanged"
        comment: Sealed | None
        by: UUID | None
        """The account that wrote it; None for the operator."""

        def apply(self, aggregate: Account) -> None:
            """Remember the comment."""
            aggregate.comment = self.comment

    class KudosAwarded(Event):
        """It was awarded kudos, or (below zero) they were taken."""

        TOPIC = "Account.KudosAwarded"
        kudos: float
        by: UUID | None
        """The account that decided; None for the operator."""
        reason: str

    class KudosSent(Event):
        """It gave kudos of its own to another account."""

        TOPIC = "Account.KudosSent"
        kudos: float
        """Above zero."""
        to: UUID

    class Deleted(Event):
        """It was closed: its key is refused, and its personal data is forgotten."""

        TOPIC = "Account.Deleted"
        by: UUID | None
        """The account that decided; None for the operator."""

        def apply(self, aggregate: Account) -> None:
            """Close it."""
            aggregate.deleted = True

    class Restored(Event):
        """It was opened again; its personal data stays forgotten."""

        TOPIC = "Account.Restored"
        by: UUID | None
        """The account that decided; None for the operator."""

        def apply(self, aggregate: Account) -> None:
            """Open it."""
            aggregate.deleted = False

    def __init__(
        self, name: str, number: int, key_digest: str, roles: Roles, contact: Sealed | None
    ) -> None:
        """Start with one key; called with the facts of :class:`Opened`."""
        self.name = name
        self.number = number
        self.key_digest = key_digest
        self.roles = roles
        self.contact = contact
        self.concurrency: int | None = None
        """None: what the installation allows everybody."""
        self.worker_invited = 0
        self.public_workers = False
        self.comment: Sealed | None = None
        self.deleted = False
        self.trust_withdrawn = False
        """Whether it was trusted once and lost that by a decision."""

    @classmethod
    def open(
        cls,
        account_id: UUID,
        *,
        name: str,
        number: int,
        key_digest: str,
        roles: Roles,
        contact: Sealed | None = None,
        timestamp: datetime,
    ) -> Self:
        """Return a new account with its first event pending."""
        return cls._create(
            cls.Opened,
            id=account_id,
            name=name,
            number=number,
            key_digest=key_digest,
            roles=roles,
            contact=contact,
            timestamp=timestamp,
        )

    def regenerate_key(self, key_digest: str, *, timestamp: datetime) -> None:
        """Replace the key by a new one.

        :raises Refused: ``DeletedUser``.
        """
        self._require_open()
        self.trigger_event(self.KeyRegenerated, key_digest=key_digest, timestamp=timestamp)

    def change_roles(self, roles: Roles, *, by: UUID | None, timestamp: datetime) -> None:
        """Give or take roles.

        :raises Refused: ``DeletedUser``.
        """
        self._require_open()
        if roles != self.roles:
            self.trigger_event(self.RolesChanged, roles=roles, by=by, timestamp=timestamp)

    def earn_trust(self, *, timestamp: datetime) -> None:
        """Make it trusted for its good work, without anybody's decision.

        :raises Refused: ``DeletedUser``.
        """
        self.change_roles(replace(self.roles, trusted=True), by=None, timestamp=timestamp)

    def rename(self, name: str, *, timestamp: datetime) -> None:
        """Give it another name.

        :raises Refused: ``DeletedUser``.
        """
        self._require_open()
        if name != self.name:
            self.trigger_event(self.Renamed, name=name, timestamp=timestamp)

    def change_contact(self, contact: Sealed | None, *, timestamp: datetime) -> None:
        """Set how to reach the account's holder; None for nothing.

        :raises Refused: ``DeletedUser``.
        """
        self._require_open()
        self.trigger_event(self.ContactChanged, contact=contact, timestamp=timestamp)

    def change_limits(
        self,
        *,
        concurrency: int | None,
        worker_invited: int,
        by: UUID | None,
        timestamp: datetime,
    ) -> None:
        """Allow it more, or less, at a time.

        :raises Refused: ``DeletedUser``.
        """
        self._require_open()
        if (concurrency, worker_invited) != (self.concurrency, self.worker_invited):
            self.trigger_event(
                self.LimitsChanged,
                concurrency=concurrency,
                worker_invited=worker_invited,
                by=by,
                timestamp=timestamp,
            )

    def publish_workers(self, public: bool, *, timestamp: datetime) -> None:
        """Show its workers as its own to everybody, or no longer.

        :raises Refused: ``DeletedUser``.
        """
        self._require_open()
        if public != self.public_workers:
            self.trigger_event(self.WorkersPublished, public=public, timestamp=timestamp)

    def comment_on(self, comment: Sealed | None, *, by: UUID | None, timestamp: datetime) -> None:
        """Set the comment that moderators read about it; None removes it."""
        self.trigger_event(self.CommentChanged, comment=comment, by=by, timestamp=timestamp)

    def award(self, kudos: float, *, by: UUID | None, reason: str, timestamp: datetime) -> None:
        """Award it kudos, or (below zero) take them.

        :raises Refused: ``DeletedUser``.
        """
        self._require_open()
        if kudos:
            self.trigger_event(
                self.KudosAwarded, kudos=kudos, by=by, reason=reason, timestamp=timestamp
            )

    def send_kudos(self, kudos: float, *, to: UUID, timestamp: datetime) -> None:
        """Send kudos of its own; the caller checks that it has them.

        :raises Refused: ``DeletedUser``.
        """
        self._require_open()
        self.trigger_event(self.KudosSent, kudos=kudos, to=to, timestamp=timestamp)

    def delete(self, *, by: UUID | None, timestamp: datetime) -> None:
        """Close it; closed already is no error."""
        if not self.deleted:
            self.trigger_event(self.Deleted, by=by, timestamp=timestamp)

    def restore(self, *, by: UUID | None, timestamp: datetime) -> None:
        """Open it again.

        :raises Refused: ``UserNotDeleted``.
        """
        if not self.deleted:
            raise Refused("UserNotDeleted")
        self.trigger_event(self.Restored, by=by, timestamp=timestamp)

    def _require_open(self) -> None:
        if self.deleted:
            raise Refused("DeletedUser")
