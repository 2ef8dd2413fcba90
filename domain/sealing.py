"""Personal data in events: sealed under a key that can be deleted.

An event is kept for ever, but a prompt or an address is personal. So both stand in events only as
:class:`Sealed` boxes; the keys are kept outside the log, one for each account (or, for anonymous,
for each request), and deleting a key forgets the person while the history stays whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Sealed:
    """Text that only the holder of its subject's key can read."""

    subject: UUID
    """Whose key opens it: an account, or a request for anonymous."""
    box: str
    """URL-safe base64 of nonce and ciphertext."""


class Forgotten(Exception):
    """The key of this subject was deleted; what it sealed can no longer be read."""


class Sealer(Protocol):
    """The port to the keys."""

    def seal(self, subject: UUID, text: str) -> Sealed:
        """Seal ``text`` under the subject's key, making the key on first use."""

    def open(self, sealed: Sealed) -> str:
        """Return the text.

        :raises Forgotten: when the subject's key was deleted.
        """

    def forget(self, subject: UUID) -> None:
        """Delete the subject's key, if there is one: nothing sealed so far can be read again."""
