"""A web server on this machine that behaves, and misbehaves, as it is told; with TLS if wanted."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

HOST = "images.test"
"""The name that the server's certificate is for, beside 127.0.0.1."""

Page = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class WebServer:
    """A server that is running."""

    port: int
    certificate: Path | None
    pages: dict[str, Page] = field(default_factory=dict)
    """What it does, by the path and query that are asked for."""
    asked: list[str] = field(default_factory=list)
    """The paths that were asked for."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """What was sent along, by lower-case names."""
    ending: threading.Event = field(default_factory=threading.Event)
    """Set when the test is over, so that pages that never end do."""

    def url(self, path: str, host: str = HOST) -> str:
        """Return an address here."""
        return f"http{'s' if self.certificate else ''}://{host}:{self.port}{path}"

    def trusting(self) -> ssl.SSLContext:
        """Return a context of a client that trusts this server."""
        return ssl.create_default_context(cafile=self.certificate)

    def answers(
        self, path: str, data: bytes, media_type: str = "image/webp", status: int = 200
    ) -> str:
        """Answer a path with some bytes; return the path."""

        def page(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Content-Type", media_type)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)

        self.pages[path] = page
        return path

    def redirects(self, path: str, to: str, status: int = 302) -> str:
        """Point from a path to another address; return the path."""

        def page(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Location", to)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        self.pages[path] = page
        return path


@contextmanager
def web_server(folder: Path | None = None) -> Iterator[WebServer]:
    """Run a server, with TLS under a certificate made in a folder if one is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            served.headers.append({name.lower(): value for name, value in self.headers.items()})
            try:
                served.pages[self.path](self)
            except OSError:
                # The client has seen enough.
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        # A client that refuses our certificate is what some tests are about.
        def handle_error(self, *_: object) -> None:
            return

    server = Server(("127.0.0.1", 0), Handler)
    certificate = certificate_in(folder) if folder else None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    served = WebServer(server.server_address[1], certificate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        served.ending.set()
        server.shutdown()
        thread.join()
        server.server_close()


def certificate_in(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(HOST), x509.IPAddress(IPv4Address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path
