"""The API's listening sockets: the supervisor opens them, so they outlive the API processes."""

from __future__ import annotations

import errno
import http.client
import socket

_BACKLOG = 2048
_SECONDS_TO_ANSWER = 2.0


class CannotListen(Exception):
    """The address cannot be listened on; the message says why and what to do."""


def listen(host: str, port: int, sockets: int = 1) -> list[socket.socket]:
    """Return listening sockets; connections wait there until a process accepts them.

    With several, the kernel spreads connections over them. With one shared socket, the process that
    wakes first would accept whole bursts.

    :raises CannotListen: when the address is taken, is not of this machine or is not allowed.
    """
    first = _listen(host, port)
    if sockets == 1:
        return [first]
    # The exclusive bind shows that no other process listens there; bind again with SO_REUSEPORT.
    bound = first.getsockname()[1]
    first.close()
    return [_listen(host, bound, shared=True) for _ in range(sockets)]


def _listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        server = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host}: {error.strerror}") from None
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(address)
        server.listen(_BACKLOG)
    except OSError as error:
        server.close()
        advice = "choose another with --port" if error.errno == errno.EADDRINUSE else "see --host"
        raise CannotListen(
            f"cannot listen on {host} port {port}: {error.strerror}; {advice}"
        ) from None
    return server


def answers_heartbeat(server: socket.socket) -> bool:
    """Whether the API behind this socket answers its heartbeat with 200."""
    host, port = server.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS_TO_ANSWER)
    try:
        connection.request("GET", "/api/v2/status/heartbeat")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
