"""The API's sockets, opened by the supervisor so that they outlive those that serve them."""

from __future__ import annotations

import errno
import http.client
import socket

_BACKLOG = 2048
_SECONDS_TO_ANSWER = 2.0


class CannotListen(Exception):
    """The address cannot be listened on; the message says why and what to do."""


def listen(host: str, port: int, sockets: int = 1) -> list[socket.socket]:
    """Return sockets that listen; what connects waits there until a process accepts it.

    With several, the kernel spreads connections over them; on one shared socket the process that
    wakes first would take whole bursts.

    :raises CannotListen: when the address is taken, is not of this machine or is not allowed.
    """
    first = _listen(host, port)
    if sockets == 1:
        return [first]
    # It was free for us alone, so nobody else listens there: now make room for ourselves.
    taken = first.getsockname()[1]
    first.close()
    return [_listen(host, taken, shared=True) for _ in range(sockets)]


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
    """Whether whoever serves this socket answers the API's heartbeat with 200."""
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
