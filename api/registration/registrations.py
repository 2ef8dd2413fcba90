"""Opening accounts for whoever comes, a few from each network address."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from api.services import Services
from domain.accounts.directory import AccountEntry
from domain.accounts.roles import Roles
from domain.names import contact_from, handle_of, user_name_from
from domain.return_codes import Refused

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

    def __init__(self, services: Services) -> None:
        """Open accounts in the ledger of these services."""
        self._services = services
        self._opened: OrderedDict[str, list[datetime]] = OrderedDict()
        self._counting = threading.Lock()

    def register(self, name: str, contact: str, *, address: str) -> Registered:
        """Open an account without roles.

        :param contact: how to reach whoever it belongs to; empty for nothing.
        :param address: the network address of whoever asks.
        :raises Refused: ``Forbidden`` (accounts are opened by operators alone), ``TimeoutIP`` (too
            many from there), ``TooLongUserName``, ``ProfaneUserName``, ``ProfaneUserContact``,
            ``BadRequest`` or ``Locked``.
        """
        services = self._services
        services.timeouts.require_allowed(address)
        name = user_name_from(name, services.content_filter)
        contact = contact_from(contact, services.content_filter)
        self._count(address)
        key = services.new_key()
        account_id = services.ledger.accounts.open(
            name, services.digest_of(key), Roles(), contact=contact
        )
        entry = services.directory.account(account_id)
        number = entry.number if entry is not None else 0
        return Registered(account_id, handle_of(name, number), key)

    def another_key(self, account: AccountEntry) -> Registered:
        """Give an account another key in its old one's place.

        :raises Refused: ``AnonForbiddenUserMod``, ``DeletedUser`` or ``Locked``.
        """
        key = self._services.new_key()
        self._services.ledger.accounts.regenerate_key(
            account.account_id, self._services.digest_of(key)
        )
        return Registered(account.account_id, account.handle, key)

    def _count(self, address: str) -> None:
        most = self._services.registrations_per_hour
        if most == 0:
            raise Refused("Forbidden", "Accounts are opened by the operators here: ask them.")
        now = self._services.clock.now()
        digest = self._services.address_digest(address)
        with self._counting:
            lately = [then for then in self._opened.get(digest, ()) if now - then < _WINDOW]
            if len(lately) >= most:
                left = (lately[0] + _WINDOW - now).total_seconds()
                raise Refused("TimeoutIP", seconds=math.ceil(left))
            self._opened[digest] = [*lately, now]
            self._opened.move_to_end(digest)
            while len(self._opened) > _MOST_ADDRESSES:
                self._opened.popitem(last=False)
