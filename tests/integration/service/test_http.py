"""What HTTP asks of every address: headers, methods, codings, versions, pages of other origins."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from sqlalchemy import create_engine, text

from infrastructure.keys.api_keys import ANONYMOUS_KEY
from infrastructure.processes.api import app_of
from infrastructure.processes.http_protocol import HttpProtocol
from tests.integration.api_client import Api, serving

V2 = "/api/v2"
FRONT_END = {"origin": "https://front.example"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One Hoard for all that changes nothing that others look at."""
    with serving(tmp_path_factory.mktemp("http")) as api:
        yield api


@pytest.mark.parametrize("value", ["{} ", " {}", "{}\t", "\t {} \t"])
def test_blanks_around_a_header_are_not_part_of_it(shared: Api, value: str) -> None:
    key = shared.key("somebody")
    answered = shared.http.get(f"{V2}/find_user", headers={"apikey": value.format(key)})
    assert answered.status_code == 200
    assert answered.json()["username"].startswith("somebody#")


@pytest.mark.parametrize("seen", ["1 ", "\t1\t"])
def test_blanks_around_the_last_event_id_are_not_part_of_it(shared: Api, seen: str) -> None:
    request_id = shared.asked()
    shared.call("DELETE", f"/generate/status/{request_id}")
    path = f"{V2}/generate/events/{request_id}"
    plain, blank = (
        shared.http.get(path, headers={"last-event-id": value}).text
        for value in (seen.strip(), seen)
    )
    assert "event:" in plain
    assert blank == plain


@pytest.mark.parametrize(
    "path",
    ["/status/heartbeat", "/status/models", "/workers", "/find_user", "/openapi.json", "/nowhere"],
)
def test_head_is_answered_as_get_is_without_the_body(shared: Api, path: str) -> None:
    got, headed = (
        shared.http.request(method, V2 + path, headers={"apikey": ANONYMOUS_KEY})
        for method in ("GET", "HEAD")
    )
    assert headed.status_code == got.status_code
    assert headed.content == b""
    for name in ("content-type", "content-length", "cache-control"):
        assert headed.headers.get(name) == got.headers.get(name)


def test_head_of_a_stream_ends(shared: Api) -> None:
    headed = shared.http.head(f"{V2}/generate/events/{shared.asked()}")
    assert headed.status_code == 200
    assert headed.headers["content-type"].startswith("text/event-stream")
    assert headed.content == b""


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/generate/async", "POST, OPTIONS"),
        ("/generate/status/x", "GET, DELETE, HEAD, OPTIONS"),
        ("/workers/x", "GET, PUT, DELETE, HEAD, OPTIONS"),
    ],
)
def test_an_address_says_which_methods_it_takes(shared: Api, path: str, methods: str) -> None:
    answered = shared.http.options(V2 + path)
    assert (answered.status_code, answered.headers["allow"]) == (204, methods)
    assert answered.content == b""
    refused = shared.http.patch(V2 + path)
    assert (refused.status_code, refused.headers["allow"]) == (405, methods)


@pytest.mark.parametrize("method", ["OPTIONS", "GET", "HEAD", "POST", "PATCH", "BREW"])
def test_nothing_is_at_an_unknown_address_whatever_the_method(shared: Api, method: str) -> None:
    answered = shared.http.request(method, f"{V2}/nowhere")
    assert answered.status_code == 404
    if method != "HEAD":
        assert answered.json()["rc"] == "NotFound"


def test_a_browser_is_told_before_it_asks(shared: Api) -> None:
    answered = shared.http.options(
        f"{V2}/generate/async",
        headers={
            **FRONT_END,
            "access-control-request-method": "POST",
            "access-control-request-headers": "apikey, client-agent, idempotency-key",
            "access-control-request-private-network": "true",
        },
    )
    assert answered.status_code == 204
    headers = answered.headers
    assert headers["access-control-allow-origin"] == "*"
    assert "POST" in headers["access-control-allow-methods"]
    assert headers["access-control-allow-headers"] == "apikey, client-agent, idempotency-key"
    assert headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize("origin", [FRONT_END, {}], ids=["origin", "no origin"])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/status/heartbeat", 200),
        ("GET", "/nowhere", 404),
        ("PATCH", "/generate/async", 405),
        ("POST", "/generate/async", 400),
        ("POST", "/teams", 501),
    ],
)
def test_a_page_of_any_origin_may_read_any_answer(
    shared: Api, method: str, path: str, status: int, origin: dict[str, str]
) -> None:
    answered = shared.http.request(
        method, V2 + path, headers={"apikey": ANONYMOUS_KEY, **origin}, json={}
    )
    assert answered.status_code == status
    assert answered.headers.get_list("access-control-allow-origin") == ["*"]
    assert "Retry-After" in answered.headers["access-control-expose-headers"]


def test_a_page_of_any_origin_may_read_that_something_broke(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("a defect")

    with serving(tmp_path) as api:
        monkeypatch.setattr(api.hoard.inline.modes, "now", broken)
        answered = api.http.get(f"{V2}/status/modes", headers=FRONT_END)
    assert (answered.status_code, answered.json()["rc"]) == (500, "InternalServerError")
    assert answered.headers["access-control-allow-origin"] == "*"


PLAIN = json.dumps({"prompt": "a fox"}).encode()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(PLAIN, mtime=0)),
        ("GZIP", gzip.compress(PLAIN, mtime=0)),
        ("x-gzip", gzip.compress(PLAIN, mtime=0)),
        ("deflate", zlib.compress(PLAIN)),
        ("gzip, gzip", gzip.compress(gzip.compress(PLAIN, mtime=0), mtime=0)),
        ("br", PLAIN),
        ("gzip", PLAIN),
    ],
    ids=["gzip", "capitals", "old name", "deflate", "twice", "unknown", "untrue"],
)
def test_a_body_in_another_coding_is_refused(shared: Api, coding: str, body: bytes) -> None:
    answered = shared.http.post(
        f"{V2}/generate/async",
        content=body,
        headers={"apikey": ANONYMOUS_KEY, "content-encoding": coding},
    )
    assert (answered.status_code, answered.json()["rc"]) == (415, "BadRequest")
    assert answered.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_a_body_that_is_as_it_is_is_read(shared: Api, coding: str) -> None:
    answered = shared.http.post(
        f"{V2}/generate/async",
        content=PLAIN,
        headers={"apikey": ANONYMOUS_KEY, "content-encoding": coding},
    )
    assert answered.status_code == 202


@contextmanager
def listening(api: Api) -> Iterator[tuple[str, int]]:
    """Serve over a real connection, as the API process does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(
            uvicorn.Config(app_of(api.hoard), http=HttpProtocol, log_config=None, ws="none")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join()


def exchanged(address: tuple[str, int], request: str) -> tuple[str, bytes]:
    """Send a request and read until the server closes; return head (lower case) and body."""
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(request.encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode().lower(), body


def test_a_client_of_http_1_0_gets_no_chunks(tmp_path: Path) -> None:
    with serving(tmp_path) as api:
        request_id = api.asked()
        api.call("DELETE", f"/generate/status/{request_id}")
        events = f"GET {V2}/generate/events/{request_id} HTTP/"
        with listening(api) as address:
            head, body = exchanged(address, f"{events}1.0\r\n\r\n")
            assert "transfer-encoding" not in head
            assert "connection: close" in head
            first = body.splitlines()[0]
            assert first.startswith((b"event:", b"id:", b"data:", b":", b"retry:"))

            later = f"{events}1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            head, framed = exchanged(address, later)
            assert "transfer-encoding: chunked" in head
            assert first in framed
            assert not framed.startswith(first)

            head, body = exchanged(address, f"GET {V2}/status/heartbeat HTTP/1.0\r\n\r\n")
            assert f"content-length: {len(body)}" in head
            assert json.loads(body)["message"] == "OK"

            head, body = exchanged(address, f"HEAD {V2}/status/heartbeat HTTP/1.0\r\n\r\n")
            assert "content-length: " in head
            assert body == b""


def test_a_lock_that_somebody_else_holds_is_no_defect(
    ledger_url: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.storage.sqlite_backend._BUSY_SECONDS", 0.1)
    monkeypatch.setattr("infrastructure.storage.postgres_backend.LOCK_SECONDS", 1)
    with serving(tmp_path, database=ledger_url) as api:
        holder = create_engine(
            api.hoard.storage.ledger_database.engine.url,
            connect_args={} if ledger_url else {"isolation_level": None},
        )
        with holder.connect() as connection:
            begin = "LOCK TABLE event IN EXCLUSIVE MODE" if ledger_url else "BEGIN IMMEDIATE"
            connection.execute(text(begin))
            refused = api.ask()
            assert (refused.status, refused.rc) == (503, "ServiceUnavailable")
            assert int(refused.headers["retry-after"]) > 0
            connection.execute(text("ROLLBACK"))
        holder.dispose()
        assert api.ask().status == 202
