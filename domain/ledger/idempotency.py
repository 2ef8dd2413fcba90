"""Commands that a client may send again, marked by a key of its own, and that are done once."""

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
    """What a command that is sent again has in common with itself.

    Both are digests that nobody can make or guess without this installation's master key: a
    prompt is a part of what was sent.
    """

    key: str
    """Of whoever sends it, what it is for, and the key that its client made up; hexadecimal."""
    content: str
    """Of what was sent; hexadecimal."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What came of a command."""

    subject: UUID
    """What it made, such as a request."""
    kudos: float


class IdempotencyStore(Protocol):
    """The port to what was done lately."""

    def earlier(self, key: IdempotencyKey, now: datetime) -> CommandResult | None:
        """Return what came of the same command when it was sent before, if it was.

        :raises Refused: ``BadRequest``, when something else was sent with the same key.
        """

    def remember(
        self, key: IdempotencyKey, done: CommandResult, *, now: datetime, until: datetime
    ) -> bool:
        """Note what came of a command, within the transaction that does it.

        False when the same key was noted already, also by a transaction that this one had to wait
        for: this transaction must then be undone.
        """
