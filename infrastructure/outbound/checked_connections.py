"""Connections to checked addresses only, with a deadline."""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore

_PIECE_BYTES = 16 * 1024


class CheckedBackend(httpcore.NetworkBackend):
    """Connects to the checked addresses, whatever host is requested."""

    def __init__(
        self,
        addresses: Sequence[str],
        deadline: float,
        *,
        stalled_seconds: float = math.inf,
        through: httpcore.SyncBackend | None = None,
    ) -> None:
        """Connect to these addresses only, the first that can be reached.

        :param deadline: the end of everything, by the monotonic clock.
        :param stalled_seconds: how long a connection may be idle.
        :param through: makes the connections; None: direct ones.
        """
        self._addresses = addresses
        self._deadline = deadline
        self._stalled = stalled_seconds
        self._plain = through or httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failed: httpcore.NetworkError | httpcore.TimeoutException = httpcore.ConnectError()
        for number, address in enumerate(self._addresses):
            left = _left(self._deadline, httpcore.ConnectTimeout)
            # An unreachable address must not use up the time of the others.
            share = min(left / (len(self._addresses) - number), self._stalled)
            try:
                stream = self._plain.connect_tcp(address, port, share)
            except (httpcore.NetworkError, httpcore.TimeoutException) as error:
                failed = error
                continue
            return _Timed(stream, self._deadline, self._stalled)
        raise failed


class _Timed(httpcore.NetworkStream):
    """A connection whose steps all end at one deadline, however slowly bytes arrive."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float, stalled: float) -> None:
        self._stream = stream
        self._deadline = deadline
        self._stalled = stalled

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._at_most(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # A server that reads slowly must not extend one write beyond the deadline.
        for start in range(0, len(buffer), _PIECE_BYTES):
            piece = buffer[start : start + _PIECE_BYTES]
            self._stream.write(piece, self._at_most(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._at_most(httpcore.ConnectTimeout)
        secured = self._stream.start_tls(ssl_context, server_hostname, left)
        return _Timed(secured, self._deadline, self._stalled)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _at_most(self, ended: type[httpcore.TimeoutException]) -> float:
        return min(_left(self._deadline, ended), self._stalled)


def _left(deadline: float, ended: type[httpcore.TimeoutException]) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise ended
    return left
