"""Time-outs of network addresses, in a table of the ledger's database."""

from __future__ import annotations

import ipaddress
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network

from sqlalchemy import Column, MetaData, String, Table, delete, select

from api.http.timeouts import AddressTimeout
from domain.ports import Clock
from domain.return_codes import Refused
from infrastructure.keys.address_digests import DIGEST_LENGTH, AddressDigests, normal_address
from infrastructure.storage.database import Database
from projections.sql.cached import CachedAnswer
from projections.sql.encoding import Instant
from projections.sql.rows import replace_row

METADATA = MetaData()

ADDRESS_TIMEOUT = Table(
    "address_timeout",
    METADATA,
    Column("address", String(50), primary_key=True),
    Column("ends_at", Instant, nullable=False, index=True),
)
"""``address`` is a network in CIDR notation, a single address, or an address's digest."""

_CACHE_SECONDS = 1.0
_WIDEST = {4: 8, 6: 16}
"""By IP version, the shortest prefix of a network that can be shut out: a slip of the hand must not
shut everybody out."""

_DIGEST = re.compile(rf"[0-9a-f]{{{DIGEST_LENGTH}}}")

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class _ShutOut:
    """Who is shut out, indexed for look-ups."""

    singles: dict[str, datetime]
    """By address or digest."""
    networks: Sequence[tuple[Network, datetime]]
    has_digests: bool

    def ends_for(self, address: str, digest_of: Callable[[str], str]) -> datetime | None:
        """Return until when an address is shut out, None for not at all."""
        ends = [self.singles.get(address)]
        if self.has_digests:
            ends.append(self.singles.get(digest_of(address)))
        if self.networks:
            ends.extend(ends_at for network, ends_at in self.networks if _holds(network, address))
        return max((end for end in ends if end is not None), default=None)


class AddressTimeouts:
    """Stores and checks who is shut out."""

    def __init__(
        self,
        database: Database,
        digests: AddressDigests,
        clock: Clock,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep time-outs in the ledger's database.

        :param digests: by which workers' addresses are known.
        :param seconds: seconds of a clock that never goes back.
        """
        self._database = database
        self._digests = digests
        self._clock = clock
        self._seconds = seconds
        self._shut_out = self._new_cache()

    def shut_out(self, address: str, lifetime: timedelta) -> None:
        """Shut an address or a network out; see :class:`api.http.timeouts.Timeouts`."""
        now = self._clock.now()
        key = _key_of(address)
        _require_narrow(key)
        row = {"address": key, "ends_at": now + lifetime}
        with self._database.transaction() as connection:
            connection.execute(delete(ADDRESS_TIMEOUT).where(ADDRESS_TIMEOUT.c.ends_at <= now))
            replace_row(connection, ADDRESS_TIMEOUT, row)
        self._shut_out = self._new_cache()

    def let_in(self, address: str) -> None:
        """End the time-out of an address or a network; none is no error."""
        ended = delete(ADDRESS_TIMEOUT).where(ADDRESS_TIMEOUT.c.address == _key_of(address))
        with self._database.transaction() as connection:
            connection.execute(ended)
        self._shut_out = self._new_cache()

    def active(self) -> Sequence[AddressTimeout]:
        """Return who is shut out now, the first to end first."""
        found = (
            select(ADDRESS_TIMEOUT)
            .where(ADDRESS_TIMEOUT.c.ends_at > self._clock.now())
            .order_by(ADDRESS_TIMEOUT.c.ends_at, ADDRESS_TIMEOUT.c.address)
        )
        with self._database.reading() as connection:
            return [AddressTimeout(row.address, row.ends_at) for row in connection.execute(found)]

    def covering(self, address: str) -> Sequence[AddressTimeout]:
        """Return those by which an address or a network is shut out now."""
        key = _key_of(address)
        digest = self._digests(key)
        return [
            timeout
            for timeout in self.active()
            if timeout.address in (key, digest) or _covers(timeout.address, key)
        ]

    def require_allowed(self, address: str) -> None:
        """Let an address pass that is not shut out, as of up to a second ago."""
        shut_out = self._shut_out(None)
        if not shut_out.singles and not shut_out.networks:
            return
        ends_at = shut_out.ends_for(normal_address(address), self._digests)
        if ends_at is not None:
            left = (ends_at - self._clock.now()).total_seconds()
            if left > 0:
                raise Refused("TimeoutIP", seconds=math.ceil(left))

    def _new_cache(self) -> CachedAnswer[None, _ShutOut]:
        return CachedAnswer(self._read, seconds=_CACHE_SECONDS, clock=self._seconds)

    def _read(self, _key: None) -> _ShutOut:
        active = self.active()
        return _ShutOut(
            singles={each.address: each.ends_at for each in active if "/" not in each.address},
            networks=[
                (ipaddress.ip_network(each.address), each.ends_at)
                for each in active
                if "/" in each.address
            ],
            has_digests=any(_DIGEST.fullmatch(each.address) for each in active),
        )


def _key_of(address: str) -> str:
    """Return what a time-out is kept under.

    :raises Refused: ``BadRequest``.
    """
    if _DIGEST.fullmatch(address):
        return address
    try:
        network = ipaddress.ip_network(normal_address(address), strict=False)
    except ValueError:
        raise Refused(
            "BadRequest",
            "ipaddr: name an IPv4 or IPv6 address, or a network as 192.0.2.0/24",
            {"ipaddr": "is no network address"},
        ) from None
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address if single else network)


def _require_narrow(key: str) -> None:
    if "/" not in key:
        return
    network = ipaddress.ip_network(key)
    if network.prefixlen < _WIDEST[network.version]:
        raise Refused(
            "BadRequest",
            f"ipaddr: name a network of /{_WIDEST[network.version]} or narrower",
            {"ipaddr": "is too wide a network"},
        )


def _holds(network: Network, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in network
    except ValueError:
        return False


def _covers(wider: str, key: str) -> bool:
    """Whether a network that is shut out holds another, or an address."""
    if "/" not in wider or _DIGEST.fullmatch(key):
        return False
    outer, inner = ipaddress.ip_network(wider), ipaddress.ip_network(key)
    if isinstance(outer, IPv4Network):
        return isinstance(inner, IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and inner.subnet_of(outer)
