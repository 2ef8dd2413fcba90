"""Calls to addresses that strangers gave, such that they reach nothing but the public internet."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpcore
import httpx

from domain.fetching import Fetched, FetchFailed, FetchLimits, Trouble
from infrastructure.public_addresses import Address, Network, address_from, is_public, is_within

Resolver = Callable[[str, int], Sequence[str]]
"""Returns the IP addresses of a host for a port; raises OSError when it has none."""

AT_ONCE = 8
"""Fetches at a time; half the threads of a process that serves the API."""

_MOST_CHARACTERS = 2048
_HTTPS_PORT = 443
_FIRST_UNRESERVED_PORT = 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200
_UNFIT = re.compile(r"[\x00-\x20\x7f\\]")
_KEPT_IN_TARGETS = "/%:@!$&'()*+,;=~-._?"


def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system for a host's addresses."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


@dataclass(frozen=True, slots=True)
class _Target:
    """An address taken apart."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_secure(self) -> bool:
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == (_HTTPS_PORT if self.is_secure else 80)
        return host if usual else f"{host}:{self.port}"


class Outbound:
    """Fetches over HTTPS, connecting only to addresses that it has checked itself.

    A name is resolved once and the connection goes to what was checked, so that a second answer
    of a hostile name server changes nothing; the certificate must fit the name. Each redirect is
    checked like the first address. No proxy of the environment is used, no cookie kept, and a
    compressed body is not asked for.

    :param permitted: networks of the operator's own that may be called as well, with plain HTTP
        and on any port.
    :param at_once: most fetches at a time, over all threads; one more is refused as busy, so that
        slow servers never hold all threads of the API.
    """

    def __init__(
        self,
        *,
        permitted: Iterable[Network] = (),
        at_once: int = AT_ONCE,
        resolver: Resolver = resolve,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._permitted = tuple(permitted)
        self._free = threading.BoundedSemaphore(at_once)
        self._resolver = resolver
        self._given_ssl_context = ssl_context
        self._resolving = ThreadPoolExecutor(at_once, thread_name_prefix="resolve")

    def get(self, url: str, limits: FetchLimits) -> Fetched:
        """Return what lies at an address.

        :raises FetchFailed: saying why there is nothing to be had.
        """
        if not self._free.acquire(blocking=False):
            raise FetchFailed(Trouble.BUSY)
        try:
            return self._get(url, limits, time.monotonic() + limits.seconds)
        finally:
            self._free.release()

    def close(self) -> None:
        """Let go of the threads that resolve names."""
        self._resolving.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        # Reading all certificates takes longer than most processes of Hoard should need to start.
        return self._given_ssl_context or httpx.create_ssl_context()

    def _get(self, url: str, limits: FetchLimits, deadline: float) -> Fetched:
        for _ in range(limits.redirects + 1):
            answer = self._call(_target(url), limits, deadline)
            if isinstance(answer, Fetched):
                return answer
            url = _joined(url, answer)
        raise FetchFailed(Trouble.TOO_MANY_REDIRECTS)

    def _call(self, target: _Target, limits: FetchLimits, deadline: float) -> Fetched | str:
        """Return what lies there, or the address that it points to instead."""
        addresses = self._checked_addresses(target, deadline)
        request = httpcore.Request(
            "GET",
            httpcore.URL(
                scheme=target.scheme.encode(),
                host=target.host.encode(),
                port=target.port,
                target=target.path.encode(),
            ),
            headers={
                "host": target.authority,
                "user-agent": "Hoard",
                "accept": ", ".join(
                    f"{each}*" if each.endswith("/") else each for each in limits.media_types
                )
                or "*/*",
                # What is counted is what comes: a small body must not unfold into a large one.
                "accept-encoding": "identity",
                "connection": "close",
            },
        )
        try:
            with (
                httpcore.ConnectionPool(
                    ssl_context=self._ssl_context,
                    network_backend=_Checked(addresses, deadline),
                ) as pool,
                closing(pool.handle_request(request)) as response,
            ):
                return _read(response, limits)
        except httpcore.TimeoutException:
            raise FetchFailed(Trouble.TOO_SLOW) from None
        except (httpcore.NetworkError, httpcore.ProtocolError):
            raise FetchFailed(Trouble.UNREACHABLE) from None

    def _checked_addresses(self, target: _Target, deadline: float) -> tuple[str, ...]:
        """Resolve a host and make sure that all its addresses may be called."""
        try:
            # The system's resolver knows no deadline.
            asked = self._resolving.submit(self._resolver, target.host, target.port)
            found = {address_from(text) for text in asked.result(deadline - time.monotonic())}
        except TimeoutError:
            raise FetchFailed(Trouble.TOO_SLOW) from None
        except (OSError, ValueError):
            raise FetchFailed(Trouble.UNREACHABLE) from None
        if not found:
            raise FetchFailed(Trouble.UNREACHABLE)
        for address in found:
            self._require_callable(target, address)
        # IPv4 first: a machine without IPv6 would spend its time on addresses that lead nowhere.
        return tuple(str(each) for each in sorted(found, key=lambda each: (each.version, each)))

    def _require_callable(self, target: _Target, address: Address) -> None:
        if is_within(address, self._permitted):
            return
        if not target.is_secure:
            raise FetchFailed(Trouble.ADDRESS_INVALID)
        # Ports below belong to other protocols, whose servers our request must not confuse.
        if target.port != _HTTPS_PORT and target.port < _FIRST_UNRESERVED_PORT:
            raise FetchFailed(Trouble.ADDRESS_REFUSED)
        if not is_public(address):
            raise FetchFailed(Trouble.ADDRESS_REFUSED)


def _target(url: str) -> _Target:
    """Take an address apart.

    :raises FetchFailed: when it cannot be read, or holds a user's name or password.
    """
    if len(url) > _MOST_CHARACTERS or _UNFIT.search(url):
        raise FetchFailed(Trouble.ADDRESS_INVALID)
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme.lower(), parts.hostname or ""
        port = parts.port or (_HTTPS_PORT if scheme == "https" else 80)
        if ":" not in host:
            host = host.encode("idna").decode("ascii")
        if scheme not in {"http", "https"} or not host or "@" in parts.netloc or parts.port == 0:
            raise ValueError
        path = quote(parts.path or "/", safe=_KEPT_IN_TARGETS)
        query = f"?{quote(parts.query, safe=_KEPT_IN_TARGETS)}" if parts.query else ""
    except ValueError:
        raise FetchFailed(Trouble.ADDRESS_INVALID) from None
    return _Target(scheme, host, port, path + query)


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise FetchFailed(Trouble.ADDRESS_INVALID) from None


def _read(response: httpcore.Response, limits: FetchLimits) -> Fetched | str:
    headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
    if response.status in _REDIRECTS:
        location = headers.get(b"location")
        if not location:
            raise FetchFailed(Trouble.WRONG_STATUS)
        return location
    if response.status != _OK:
        raise FetchFailed(Trouble.WRONG_STATUS)
    media_type = headers.get(b"content-type", "").partition(";")[0].strip().lower()
    compressed = headers.get(b"content-encoding", "identity").strip().lower() != "identity"
    if compressed or not _is_wanted(media_type, limits.media_types):
        raise FetchFailed(Trouble.WRONG_TYPE)
    declared = headers.get(b"content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limits.max_bytes:
        raise FetchFailed(Trouble.TOO_LARGE)
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > limits.max_bytes:
            raise FetchFailed(Trouble.TOO_LARGE)
    return Fetched(bytes(body), media_type)


def _is_wanted(media_type: str, wanted: Sequence[str]) -> bool:
    return not wanted or any(
        media_type.startswith(each) if each.endswith("/") else media_type == each for each in wanted
    )


class _Checked(httpcore.NetworkBackend):
    """Connects to the addresses that were checked, whatever host is asked for."""

    def __init__(self, addresses: Sequence[str], deadline: float) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failed: httpcore.NetworkError | httpcore.TimeoutException = httpcore.ConnectError()
        for place, address in enumerate(self._addresses):
            left = _left(self._deadline, httpcore.ConnectTimeout)
            # The first that leads nowhere must not use up the time of the others.
            share = left / (len(self._addresses) - place)
            try:
                stream = self._plain.connect_tcp(address, port, share)
            except (httpcore.NetworkError, httpcore.TimeoutException) as error:
                failed = error
                continue
            return _Timed(stream, self._deadline)
        raise failed


class _Timed(httpcore.NetworkStream):
    """A connection of which every step ends at one deadline, however often a byte drips in."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, httpcore.ConnectTimeout)
        secured = self._stream.start_tls(ssl_context, server_hostname, left)
        return _Timed(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float, ended: type[httpcore.TimeoutException]) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise ended
    return left
