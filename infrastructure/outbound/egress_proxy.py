"""Connections through the operator's HTTP proxy, which gets IP addresses only."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Iterable
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore

from infrastructure.outbound.public_addresses import Network, address_from, is_within

_USUAL_PORTS = {"http": 80, "https": 443}
_UNREADABLE = "an egress proxy is named as http://host:port or https://host:port"


class EgressBackend(httpcore.SyncBackend):
    """Opens a tunnel (``CONNECT``, RFC 9110 section 9.3.6) to whatever is connected to.

    The proxy gets the IP address, never a name: it must not resolve again what was checked. TLS
    runs inside the tunnel, so that the proxy sees no request.

    :param proxy: where the proxy listens, ``http://`` or ``https://``, with a user's name and
        password if it wants them.
    :param direct: networks that are connected to without it.
    :param ssl_context: the certificates to trust for a proxy over TLS.
    :raises ValueError: when the proxy's address cannot be read. The message never repeats it.
    """

    def __init__(
        self,
        proxy: str,
        *,
        direct: Iterable[Network] = (),
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        try:
            parts = urlsplit(proxy)
            usual_port = _USUAL_PORTS[parts.scheme]
            port = parts.port or usual_port
            host = _ascii(parts.hostname or "")
        except (KeyError, ValueError):
            raise ValueError(_UNREADABLE) from None
        if not host:
            raise ValueError(_UNREADABLE)
        self._secure = parts.scheme == "https"
        self._host, self._port = host, port
        self._direct = tuple(direct)
        self._given_ssl_context = ssl_context
        self._credentials: dict[str, str] = {}
        if parts.username is not None:
            user, password = unquote(parts.username), unquote(parts.password or "")
            encoded = b64encode(f"{user}:{password}".encode()).decode()
            self._credentials = {"proxy-authorization": f"Basic {encoded}"}

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to an IP address, each step in ``timeout`` seconds.

        :raises httpcore.ConnectError: when the proxy cannot be reached, or refuses.
        :raises httpcore.TimeoutException: when a step takes too long.
        """
        if is_within(address_from(host), self._direct):
            return super().connect_tcp(host, port, timeout, local_address, socket_options)
        stream = super().connect_tcp(self._host, self._port, timeout, local_address, socket_options)
        try:
            if self._secure:
                stream = stream.start_tls(self._ssl_context, self._host, timeout)
            return self._tunnel(stream, host, port, timeout)
        except BaseException:
            stream.close()
            raise

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        return self._given_ssl_context or ssl.create_default_context()

    def _tunnel(
        self, stream: httpcore.NetworkStream, host: str, port: int, timeout: float | None
    ) -> httpcore.NetworkStream:
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        proxy = httpcore.URL(
            scheme=b"https" if self._secure else b"http",
            host=self._host.encode(),
            port=self._port,
            target=authority.encode(),
        )
        connect = httpcore.Request(
            "CONNECT",
            proxy,
            headers=[*{"host": authority, **self._credentials}.items()],
            extensions={"timeout": {"read": timeout, "write": timeout}},
        )
        try:
            answer = httpcore.HTTP11Connection(proxy.origin, stream).handle_request(connect)
        except (httpcore.NetworkError, httpcore.ProtocolError):
            raise httpcore.ConnectError from None
        if answer.status // 100 != 2:
            raise httpcore.ConnectError
        tunnel: httpcore.NetworkStream = answer.extensions["network_stream"]
        return tunnel


def _ascii(host: str) -> str:
    return host if ":" in host else host.encode("idna").decode("ascii")
