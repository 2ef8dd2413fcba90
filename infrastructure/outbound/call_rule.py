"""Parses addresses from clients, refusing ambiguous ones, and decides which may be called."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address
from urllib.parse import quote, urljoin, urlsplit

from domain.service.fetching import FetchFailed, FetchProblem
from infrastructure.outbound.public_addresses import (
    Address,
    Network,
    address_from,
    is_public,
    is_within,
)

USUAL_PORTS = {"http": 80, "https": 443}

_MOST_CHARACTERS = 2048
_FIRST_UNRESERVED_PORT = 1024
_UNFIT = re.compile(r"[\x00-\x20\x7f\\]")
_KEPT_IN_TARGETS = "/%:@!$&'()*+,;=~-._?"


@dataclass(frozen=True, slots=True)
class CalledAddress:
    """A parsed address."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The host as a request names it, with its port where that is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == USUAL_PORTS[self.scheme] else f"{host}:{self.port}"


def called_address(url: str) -> CalledAddress:
    """Parse an address.

    :raises FetchFailed: when it cannot be parsed, or has a user name or password.
    """
    if len(url) > _MOST_CHARACTERS or _UNFIT.search(url):
        raise FetchFailed(FetchProblem.ADDRESS_INVALID)
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme.lower(), parts.hostname or ""
        usual = USUAL_PORTS[scheme]
        port = parts.port or usual
        if ":" not in host:
            host = host.encode("idna").decode("ascii")
        if not host or "@" in parts.netloc or parts.port == 0:
            raise ValueError
        path = quote(parts.path or "/", safe=_KEPT_IN_TARGETS)
        query = f"?{quote(parts.query, safe=_KEPT_IN_TARGETS)}" if parts.query else ""
    except (ValueError, KeyError):
        raise FetchFailed(FetchProblem.ADDRESS_INVALID) from None
    return CalledAddress(scheme, host, port, path + query)


def joined(url: str, location: str) -> str:
    """Return the target of a redirect.

    :raises FetchFailed: when it cannot be parsed.
    """
    try:
        return urljoin(url, location)
    except ValueError:
        raise FetchFailed(FetchProblem.ADDRESS_INVALID) from None


class CallRule:
    """Decides which public hosts and which of the operator's may be called.

    :param permitted: networks of the operator's own: with plain HTTP and on any port.
    :param plain_http: whether public hosts may be called without TLS.
    """

    def __init__(self, permitted: tuple[Network, ...], *, plain_http: bool = False) -> None:
        self.permitted = permitted
        self._plain_http = plain_http

    def require(self, called: CalledAddress, address: Address) -> None:
        """Allow a connection to one of a host's IP addresses.

        :raises FetchFailed: when it is not allowed.
        """
        if is_within(address, self.permitted):
            return
        if called.scheme != "https" and not self._plain_http:
            raise FetchFailed(FetchProblem.ADDRESS_INVALID)
        # Ports below belong to other protocols, whose servers must not get our requests.
        if called.port != USUAL_PORTS[called.scheme] and called.port < _FIRST_UNRESERVED_PORT:
            raise FetchFailed(FetchProblem.ADDRESS_REFUSED)
        if not is_public(address):
            raise FetchFailed(FetchProblem.ADDRESS_REFUSED)

    def require_readable(self, url: str) -> None:
        """Check an address that will be called later, without resolving its host.

        What a name resolves to is checked at each call.

        :raises FetchFailed: when it cannot be parsed, or can never be called.
        """
        called = called_address(url)
        address = _literal(called.host)
        if address is None:
            if called.scheme != "https" and not (self._plain_http or self.permitted):
                raise FetchFailed(FetchProblem.ADDRESS_INVALID)
            return
        self.require(called, address)


def _literal(host: str) -> Address | None:
    """Return a host that is an IP address as such; None for a name."""
    try:
        return address_from(host)
    except ValueError:
        pass
    try:
        # As resolvers parse it: one number, octal, hexadecimal, or shortened.
        return IPv4Address(socket.inet_aton(host.removesuffix(".")))
    except OSError:
        return None
