"""A receiver of webhooks on this machine, and an egress proxy that leads to it."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

from tests.web_server import HOST, certificate_in

Reply = Callable[[BaseHTTPRequestHandler], object]


@dataclass(frozen=True)
class Posted:
    """What was brought to a receiver."""

    path: str
    headers: dict[str, str]
    """By lower-case names."""
    body: bytes


@dataclass
class Receiver:
    """A receiver that is running."""

    port: int
    certificate: Path | None
    posted: list[Posted] = field(default_factory=list)
    reply: Reply = field(default=lambda handler: answer(handler, 200))
    """What it does once it has read a body."""
    leaves_body: bool = False
    """Whether reading the body is left to the reply."""
    ending: Event = field(default_factory=Event)
    """Set when the test is over, so that replies that never end do."""

    def url(self, path: str = "/hook", host: str = HOST) -> str:
        """Return an address here."""
        return f"http{'s' if self.certificate else ''}://{host}:{self.port}{path}"

    def trusting(self) -> ssl.SSLContext:
        """Return a context of a client that trusts this receiver."""
        return ssl.create_default_context(cafile=self.certificate)


def answer(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> None:
    """Send a whole answer."""
    handler.send_response(status)
    for name, value in {"content-length": str(len(body)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def receiver(folder: Path | None = None) -> Iterator[Receiver]:
    """Run a receiver, with TLS under a certificate made in a folder if one is given."""

    class Handler(_Silent):
        def do_POST(self) -> None:
            length = 0 if served.leaves_body else int(self.headers["content-length"])
            body = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            served.posted.append(Posted(self.path, headers, body))
            # The client may have seen enough.
            with suppress(OSError):
                served.reply(self)
            self.close_connection = True

    server = _Server(("127.0.0.1", 0), Handler)
    certificate = certificate_in(folder) if folder else None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    served = Receiver(server.server_address[1], certificate)
    with _running(server):
        try:
            yield served
        finally:
            served.ending.set()


@dataclass
class Proxy:
    """An egress proxy that is running."""

    port: int
    status: int = 200
    """What it answers; it tunnels when that is 200."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """The authority of each tunnel, and the credentials."""


@contextmanager
def proxy(leads_to: int) -> Iterator[Proxy]:
    """Run a proxy whose tunnels all lead to one port of this machine."""

    class Handler(_Silent):
        def do_CONNECT(self) -> None:
            served.asked.append((self.path, self.headers["proxy-authorization"]))
            self.send_response(served.status)
            self.end_headers()
            self.close_connection = True
            if served.status == 200:
                with socket.create_connection(("127.0.0.1", leads_to)) as there:
                    _relay(self.connection, there)

    server = _Server(("127.0.0.1", 0), Handler)
    served = Proxy(server.server_address[1])
    with _running(server):
        yield served


class _Silent(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


class _Server(ThreadingHTTPServer):
    # A client that leaves early is what some tests are about.
    def handle_error(self, *_: object) -> None:
        return


@contextmanager
def _running(server: _Server) -> Iterator[None]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _relay(here: socket.socket, there: socket.socket) -> None:
    other = {here: there, there: here}
    while True:
        for each in select.select(list(other), [], [])[0]:
            data = each.recv(65536)
            if not data:
                return
            other[each].sendall(data)
