"""Idempotency: a command that a client sends again under the same key is done once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

HEADER = "Idempotency-Key"
"""Where a client of the API writes its key."""

REMEMBERED = timedelta(hours=24)
"""For how long a command that is sent again is known; later it counts as a new one."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """Identifies a command, so that it is recognised when it is sent again.

    Both are digests that nobody can make or guess without this installation's master key: a
    prompt is a part of what was sent.
    """

    key: str
    """Digest of the sender, the command's kind and the client's key; hexadecimal."""
    content: str
    """Digest of the content that was sent; hexadecimal."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of a command."""

    subject: UUID
    """What it made, such as a request."""
    kudos: float


class IdempotencyStore(Protocol):
    """The port to the results of recent commands."""

    def earlier(self, key: IdempotencyKey, now: datetime) -> CommandResult | None:
        """Return the earlier result of the same command; None when it is new.

        :raises Refused: ``BadRequest``, when something else was sent with the same key.
        """

    def remember(
        self, key: IdempotencyKey, done: CommandResult, *, now: datetime, until: datetime
    ) -> bool:
        """Store the result of a command, within the transaction that does it.

        False when the same key was noted already, also by a transaction that this one had to wait
        for: this transaction must then be undone.
        """
