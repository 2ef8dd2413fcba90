"""Registration: opens accounts for anybody, a few from each network address."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends

from api.http.authentication import Authentication
from api.http.features import installed
from api.http.timeouts import Timeouts
from domain.accounts.directory import AccountEntry
from domain.accounts.roles import Roles
from domain.content_filter import ContentFilter
from domain.ledger.accounts import Accounts
from domain.names import contact_from, handle_of, user_name_from
from domain.ports import Clock
from domain.return_codes import Refused
from projections.directory.view import AccountDirectory

_WINDOW = timedelta(hours=1)
_MOST_ADDRESSES = 100_000


@dataclass(frozen=True, slots=True)
class Registered:
    """An account that was just opened, or got another key."""

    account_id: UUID
    handle: str
    """``name#number``."""
    key: str
    """Its API key: it is stored nowhere, and shown this once."""


class Registrations:
    """Counts who opens accounts, in the memory of this process, by digests of addresses.

    With several processes that serve the API as many times the number may be opened; robots are
    kept from opening thousands, and nobody who shares an address is asked for more than patience.
    """

    def __init__(
        self,
        *,
        ledger: Accounts,
        directory: AccountDirectory,
        timeouts: Timeouts,
        content_filter: ContentFilter,
        clock: Clock,
        new_key: Callable[[], str],
        key_digest: Callable[[str], str],
        address_digest: Callable[[str], str],
        most_per_hour: int,
    ) -> None:
        """Open accounts in a ledger.

        :param new_key: makes an API key that nobody can guess.
        :param key_digest: turns a key into the digest that the directory knows.
        :param address_digest: computes the keyed digest of a network address.
        :param most_per_hour: accounts that may be opened from one address within an hour; 0: none.
        """
        self._ledger = ledger
        self._directory = directory
        self._timeouts = timeouts
        self._content_filter = content_filter
        self._clock = clock
        self._new_key = new_key
        self._key_digest = key_digest
        self._address_digest = address_digest
        self._most_per_hour = most_per_hour
        self._opened: OrderedDict[str, list[datetime]] = OrderedDict()
        self._counting = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether accounts may be opened at all, rather than by operators alone."""
        return self._most_per_hour > 0

    def register(self, name: str, contact: str, *, address: str) -> Registered:
        """Open an account without roles.

        :param contact: how to reach the account's holder; empty for none.
        :param address: the network address of the client.
        :raises Refused: ``Forbidden`` (accounts are opened by operators alone), ``TimeoutIP`` (too
            many from there), ``TooLongUserName``, ``ProfaneUserName``, ``ProfaneUserContact``,
            ``BadRequest`` or ``Locked``.
        """
        self._timeouts.require_allowed(address)
        name = user_name_from(name, self._content_filter)
        contact = contact_from(contact, self._content_filter)
        self._count(address)
        key = self._new_key()
        account_id = self._ledger.open(name, self._key_digest(key), Roles(), contact=contact)
        entry = self._directory.account(account_id)
        number = entry.number if entry is not None else 0
        return Registered(account_id, handle_of(name, number), key)

    def another_key(self, account: AccountEntry) -> Registered:
        """Give an account another key in its old one's place.

        :raises Refused: ``AnonForbiddenUserMod``, ``DeletedUser`` or ``Locked``.
        """
        key = self._new_key()
        self._ledger.regenerate_key(account.account_id, self._key_digest(key))
        return Registered(account.account_id, account.handle, key)

    def _count(self, address: str) -> None:
        if not self.is_open:
            raise Refused("Forbidden", "Accounts are opened by the operators here: ask them.")
        now = self._clock.now()
        digest = self._address_digest(address)
        with self._counting:
            lately = [then for then in self._opened.get(digest, ()) if now - then < _WINDOW]
            if len(lately) >= self._most_per_hour:
                left = (lately[0] + _WINDOW - now).total_seconds()
                raise Refused("TimeoutIP", seconds=math.ceil(left))
            self._opened[digest] = [*lately, now]
            self._opened.move_to_end(digest)
            while len(self._opened) > _MOST_ADDRESSES:
                self._opened.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationFeature:
    """Registration: accounts that are opened, and keys that are replaced."""

    authentication: Authentication
    registrations: Registrations


Registration = Annotated[RegistrationFeature, Depends(installed(RegistrationFeature))]
"""A handler's parameter: what it needs."""
