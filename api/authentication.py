"""Who is asking: from the ``apikey`` header to an account."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends
from fastapi.security import APIKeyHeader

from domain.account import ANONYMOUS_ID, Roles
from domain.ports import AccountEntry, Directory
from domain.return_codes import Refused

ANONYMOUS = AccountEntry(account_id=ANONYMOUS_ID, name="Anonymous", roles=Roles())

KEPT_SECONDS = 5.0
"""For how long a key that was taken away, or roles that changed, may still count as before."""

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


class Accounts:
    """Finds accounts by their keys and remembers, for seconds, those it found.

    Only digests are remembered. A key that no account has is looked up each time, so that a new
    key counts at once.
    """

    def __init__(
        self,
        directory: Directory,
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

    def by_key(self, key: str | None) -> AccountEntry:
        """Return the account of a key.

        :raises Refused: ``InvalidAPIKey``.
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
        entry = self._directory.account_by_key(digest)
        if entry is None:
            raise Refused("InvalidAPIKey")
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[digest] = (now + KEPT_SECONDS, entry)
        return entry
