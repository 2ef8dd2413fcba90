"""The guard on calls to addresses from clients: they reach only the public internet."""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import httpx

from domain.service.fetching import Fetched, FetchFailed, FetchLimits, FetchProblem
from infrastructure.outbound.call_rule import CalledAddress, CallRule, called_address, joined
from infrastructure.outbound.checked_connections import CheckedBackend
from infrastructure.outbound.egress_proxy import EgressBackend
from infrastructure.outbound.exchanges import Streamed, exchange
from infrastructure.outbound.public_addresses import Network, address_from

Resolver = Callable[[str, int], Sequence[str]]
"""Returns the IP addresses of a host for a port; raises OSError when it has none."""

AT_ONCE = 8
"""Fetches at a time; half the threads of a process that serves the API."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200


def resolve(host: str, port: int) -> Sequence[str]:
    """Return a host's addresses from the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """The parameters of all requests of one fetch."""

    deadline: float
    """By the monotonic clock."""
    accept: str = "*/*"
    stalled_seconds: float = math.inf
    method: str = "GET"
    content: bytes = b""


class Outbound:
    """Fetches over HTTPS, connecting only to addresses that it has checked itself.

    A name is resolved once and the connection goes to what was checked, so that a second answer
    of a hostile name server changes nothing; the certificate must fit the name. Each redirect is
    checked like the first address. No proxy of the environment is used, no cookie kept, and a
    compressed body is not requested.

    :param permitted: networks of the operator's own that may be called as well, with plain HTTP
        and on any port.
    :param at_once: most fetches at a time, over all threads; one more is refused as busy, so that
        slow servers never hold all threads of the API.
    :param proxy: the operator's egress proxy, see :class:`EgressBackend`; no other is used. Names
        are resolved and checked here all the same; permitted networks are called without it.
    :param plain_http: whether public hosts may be called without TLS.
    :raises ValueError: when the proxy's address cannot be read.
    """

    def __init__(
        self,
        *,
        permitted: Iterable[Network] = (),
        at_once: int = AT_ONCE,
        resolver: Resolver = resolve,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        plain_http: bool = False,
    ) -> None:
        self.rule = CallRule(tuple(permitted), plain_http=plain_http)
        self._egress = EgressBackend(proxy, direct=self.rule.permitted) if proxy else None
        self._free = threading.BoundedSemaphore(at_once)
        self._resolver = resolver
        self._given_ssl_context = ssl_context
        self._resolving = ThreadPoolExecutor(at_once, thread_name_prefix="resolve")

    def get(self, url: str, limits: FetchLimits) -> Fetched:
        """Return the content of an address.

        :raises FetchFailed: saying why nothing was fetched.
        """
        accept = ", ".join(
            f"{each}*" if each.endswith("/") else each for each in limits.media_types
        )
        call = _Call(deadline=time.monotonic() + limits.seconds, accept=accept or "*/*")
        with self._slot(), self._following(url, call, limits.redirects) as answer:
            return _read(answer, limits)

    @contextmanager
    def stream(
        self,
        url: str,
        *,
        seconds: float,
        stalled_seconds: float,
        headers: Mapping[str, str],
        credentials: Mapping[str, str],
        redirects: int = 5,
    ) -> Iterator[Streamed]:
        """Request an address, and read the answer in chunks while the block runs.

        :param seconds: for all of it.
        :param stalled_seconds: how long nothing may arrive.
        :param headers: further ones, sent to redirect targets, too.
        :param credentials: further ones, sent to the first address only.
        :param redirects: most redirects; each address is checked like the first.
        :raises FetchFailed: saying why nothing was fetched; any status is an answer.
        """
        call = _Call(deadline=time.monotonic() + seconds, stalled_seconds=stalled_seconds)
        with (
            self._slot(),
            self._following(url, call, redirects, headers, credentials) as answer,
        ):
            yield answer

    def put(self, url: str, data: bytes, *, seconds: float) -> int:
        """Send bytes to an address and return the HTTP status; redirects are not followed.

        :param seconds: for all of it.
        :raises FetchFailed: saying why they were not sent; any status is an answer.
        """
        with self._sent("PUT", url, data, {}, seconds=seconds) as answer:
            return answer.status

    def prepare(self) -> None:
        """Read the certificates now; otherwise the first call waits for it."""
        _ = self._ssl_context

    def close(self) -> None:
        """Stop the threads that resolve names."""
        self._resolving.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        # Reading all certificates takes longer than a process should take to start.
        return self._given_ssl_context or httpx.create_ssl_context()

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._free.acquire(blocking=False):
            raise FetchFailed(FetchProblem.BUSY)
        try:
            yield
        finally:
            self._free.release()

    @contextmanager
    def _sent(
        self,
        method: str,
        url: str,
        content: bytes,
        headers: Mapping[str, str],
        *,
        seconds: float,
        stalled_seconds: float = math.inf,
    ) -> Iterator[Streamed]:
        """Send bytes to an address and read the answer; redirects are not followed."""
        call = _Call(
            deadline=time.monotonic() + seconds,
            stalled_seconds=stalled_seconds,
            method=method,
            content=content,
        )
        length = {"content-length": str(len(content))}
        with (
            self._slot(),
            self._requested(called_address(url), call, {**headers, **length}) as answer,
        ):
            yield answer

    @contextmanager
    def _following(
        self,
        url: str,
        call: _Call,
        redirects: int,
        headers: Mapping[str, str] = MappingProxyType({}),
        credentials: Mapping[str, str] = MappingProxyType({}),
    ) -> Iterator[Streamed]:
        """Request an address and follow its redirects."""
        sent = {**headers, **credentials}
        for _ in range(redirects + 1):
            with self._requested(called_address(url), call, sent) as answer:
                if answer.status not in _REDIRECTS:
                    yield answer
                    return
                location = answer.headers.get("location")
            if not location:
                raise FetchFailed(FetchProblem.WRONG_STATUS)
            url, sent = joined(url, location), dict(headers)
        raise FetchFailed(FetchProblem.TOO_MANY_REDIRECTS)

    @contextmanager
    def _requested(
        self, called: CalledAddress, call: _Call, headers: Mapping[str, str]
    ) -> Iterator[Streamed]:
        """Request one address."""
        backend = CheckedBackend(
            self._checked_addresses(called, call.deadline),
            call.deadline,
            stalled_seconds=call.stalled_seconds,
            through=self._egress,
        )
        with exchange(
            called,
            call.method,
            headers,
            call.content,
            accept=call.accept,
            backend=backend,
            ssl_context=self._ssl_context,
        ) as answer:
            yield answer

    def _checked_addresses(self, called: CalledAddress, deadline: float) -> tuple[str, ...]:
        """Resolve a host and make sure that all its addresses may be called."""
        try:
            # The system's resolver has no timeout.
            resolved = self._resolving.submit(self._resolver, called.host, called.port)
            found = {address_from(text) for text in resolved.result(deadline - time.monotonic())}
        except TimeoutError:
            raise FetchFailed(FetchProblem.TOO_SLOW) from None
        except (OSError, ValueError):
            raise FetchFailed(FetchProblem.NOT_RESOLVED) from None
        if not found:
            raise FetchFailed(FetchProblem.NOT_RESOLVED)
        for address in found:
            self.rule.require(called, address)
        # IPv4 first: a machine without IPv6 would waste time on addresses that it cannot reach.
        return tuple(str(each) for each in sorted(found, key=lambda each: (each.version, each)))


def _read(answer: Streamed, limits: FetchLimits) -> Fetched:
    if answer.status != _OK:
        raise FetchFailed(FetchProblem.WRONG_STATUS)
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not answer.is_plain or not _is_wanted(media_type, limits.media_types):
        raise FetchFailed(FetchProblem.WRONG_TYPE)
    declared = answer.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limits.max_bytes:
        raise FetchFailed(FetchProblem.TOO_LARGE)
    body = bytearray()
    for chunk in answer.chunks:
        body += chunk
        if len(body) > limits.max_bytes:
            raise FetchFailed(FetchProblem.TOO_LARGE)
    return Fetched(bytes(body), media_type)


def _is_wanted(media_type: str, wanted: Sequence[str]) -> bool:
    return not wanted or any(
        media_type.startswith(each) if each.endswith("/") else media_type == each for each in wanted
    )
