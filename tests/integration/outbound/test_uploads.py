"""Bringing files to strangers' addresses: to the public internet, or where the operator permits."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from threading import Thread

import pytest

from domain.service.fetching import FetchFailed, FetchProblem
from infrastructure.outbound.guard import Outbound

LOOPBACK = ip_network("127.0.0.0/8")


class Store(ThreadingHTTPServer):
    """Takes what is brought, and sends one path on elsewhere."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.brought: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        assert isinstance(self.server, Store)
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.brought.append((self.path, body))
        self.send_response(307 if self.path == "/moved" else 201)
        self.send_header("location", "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def store() -> Iterator[Store]:
    server = Store()
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_file_is_brought_where_the_operator_permits(store: Store) -> None:
    data = bytes(range(256)) * 4096
    outbound = Outbound(permitted=[LOOPBACK])
    assert outbound.put(f"{store.url}/1?signature=a%2Fb", data, seconds=20) == 201
    assert store.brought == [("/1?signature=a%2Fb", data)]
    outbound.close()


def test_nothing_is_sent_on_elsewhere(store: Store) -> None:
    outbound = Outbound(permitted=[LOOPBACK])
    assert outbound.put(f"{store.url}/moved", b"a", seconds=20) == 307
    assert [path for path, _ in store.brought] == ["/moved"]
    outbound.close()


def test_private_places_and_plain_http_are_refused(store: Store) -> None:
    outbound = Outbound()
    for url, trouble in {
        store.url: FetchProblem.ADDRESS_INVALID,
        store.url.replace("http:", "https:"): FetchProblem.ADDRESS_REFUSED,
        "https://169.254.169.254/latest": FetchProblem.ADDRESS_REFUSED,
    }.items():
        with pytest.raises(FetchFailed) as caught:
            outbound.put(url, b"a", seconds=20)
        assert caught.value.problem is trouble
    assert store.brought == []
    outbound.close()
