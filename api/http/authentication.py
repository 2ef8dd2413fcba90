"""Authentication: from the header ``apikey`` to an account."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Protocol

from fastapi import Depends
from fastapi.security import APIKeyHeader

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.directory import AccountEntry
from domain.accounts.roles import Roles
from domain.return_codes import Refused

ANONYMOUS = AccountEntry(account_id=ANONYMOUS_ID, name="Anonymous", roles=Roles())

KEPT_SECONDS = 5.0
"""For how long a key that was taken away, or roles that changed, may still count as before in
other processes than the one that changed them."""

_MOST_KEPT = 10_000

ApiKey = Annotated[
    str | None,
    Depends(
        APIKeyHeader(
            name="apikey",
            auto_error=False,
            description="An account's API key; 0000000000 asks for images anonymously.",
        )
    ),
]
"""A handler's parameter: the key as the client wrote it."""


class Keys(Protocol):
    """The port to the keys."""

    def account_by_key(self, key_digest: str) -> AccountEntry | None:
        """Return the account whose key, or shared key, has this SHA-256."""


class Authentication:
    """Finds accounts by their keys and remembers, for seconds, those it found.

    Only digests are remembered. A key that no account has is looked up each time, so that a new
    key counts at once.
    """

    def __init__(
        self,
        directory: Keys,
        *,
        digest_of: Callable[[str], str],
        anonymous_key: str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look accounts up in a directory.

        :param digest_of: turns a key into the digest that the directory knows.
        :param now: seconds from any fixed moment.
        """
        self._directory = directory
        self._digest_of = digest_of
        self._anonymous_key = anonymous_key
        self._now = now
        self._kept: dict[str, tuple[float, AccountEntry]] = {}
        self._forgotten = 0

    def account(self, key: str | None) -> AccountEntry:
        """Return the account of its own key. A shared key is refused: it only asks for images.

        :raises Refused: ``InvalidAPIKey`` or ``DeletedUser``.
        """
        account = self.by_key(key)
        if account.shared_key_id is not None:
            raise Refused("InvalidAPIKey", "A shared key only asks for images.")
        return account

    def by_key(self, key: str | None) -> AccountEntry:
        """Return the account of a key, be it a shared one.

        :raises Refused: ``InvalidAPIKey``, or ``DeletedUser`` of an account that was closed.
        """
        if key == self._anonymous_key:
            return ANONYMOUS
        if not key:
            raise Refused("InvalidAPIKey", "Send an API key in the header apikey.")
        digest = self._digest_of(key)
        now = self._now()
        until, kept = self._kept.get(digest, (now, ANONYMOUS))
        if now < until:
            return kept
        forgotten = self._forgotten
        entry = self._directory.account_by_key(digest)
        if entry is None:
            raise Refused("InvalidAPIKey")
        if entry.deleted:
            raise Refused("DeletedUser")
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        if forgotten == self._forgotten:
            self._kept[digest] = (now + KEPT_SECONDS, entry)
        return entry

    def forget(self) -> None:
        """Look every key up anew: an account, its key or a shared key has just changed."""
        # What is being looked up at this moment may be old already, and must not be kept.
        self._forgotten += 1
        self._kept.clear()
