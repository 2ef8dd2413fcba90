"""Posting webhooks: to a real receiver over TLS that behaves and misbehaves, and by a proxy."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from domain.service.fetching import FetchFailed, FetchProblem
from infrastructure.webhooks.posts import MOST_CUT_BYTES, WebhookPosts
from tests.web_server import HOST
from tests.webhook_receiver import Posted, Receiver, answer, proxy, receiver

LOOPBACK = ip_network("127.0.0.0/8")


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Receiver]:
    with receiver(tmp_path) as running:
        yield running


@pytest.fixture
def plain() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def here(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def there(host: str, port: int) -> Sequence[str]:
    return ["1.1.1.1"]


def posts(to: Receiver, **options: Any) -> WebhookPosts:
    """What may call this machine, and trusts the receiver."""
    given = {"permitted": [LOOPBACK], "resolver": here, **options}
    if to.certificate:
        given.setdefault("ssl_context", to.trusting())
    return WebhookPosts(**given)


def problem_of(
    out: WebhookPosts, url: str, seconds: float = 20, body: bytes = b"{}"
) -> FetchProblem:
    with pytest.raises(FetchFailed) as caught:
        out.post(url, body, {}, seconds=seconds)
    assert HOST not in str(caught.value)
    return caught.value.problem


def test_a_body_is_brought_over_tls_with_its_headers(secure: Receiver) -> None:
    secure.reply = lambda handler: answer(handler, 202, b"thanks", {"retry-after": "7"})
    sent = {"webhook-id": "a", "Content-Type": "application/json", "Host": "inside"}
    body = b'{"a":"\xc3\xbc"}'
    told = posts(secure).post(secure.url("/hook?b=c"), body, sent, seconds=20)
    assert (told.status, told.cut, told.retry_after) == (202, "thanks", timedelta(seconds=7))
    [posted] = secure.posted
    assert (posted.path, posted.body) == ("/hook?b=c", body)
    assert posted.headers == {
        "webhook-id": "a",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "host": f"{HOST}:{secure.port}",
        "user-agent": "Hoard",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
    }


@pytest.mark.parametrize("status", [204, 400, 404, 410, 429, 500, 503])
def test_any_status_is_an_answer(plain: Receiver, status: int) -> None:
    plain.reply = lambda handler: answer(handler, status)
    assert posts(plain).post(plain.url(), b"", {}, seconds=20).status == status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_is_sent_on_elsewhere(plain: Receiver, status: int) -> None:
    plain.reply = lambda handler: answer(handler, status, headers={"location": "/elsewhere"})
    assert posts(plain).post(plain.url(), b"", {}, seconds=20).status == status
    assert [each.path for each in plain.posted] == ["/hook"]


def test_plain_http_is_for_permitted_networks_only(plain: Receiver) -> None:
    assert problem_of(posts(plain, permitted=[]), plain.url()) is FetchProblem.ADDRESS_INVALID
    assert problem_of(posts(plain, resolver=there), plain.url()) is FetchProblem.ADDRESS_INVALID
    assert plain.posted == []


@pytest.mark.parametrize("port", ["", ":8080", ":443", ":25"])
def test_an_operator_may_let_plain_http_go_to_public_addresses(plain: Receiver, port: str) -> None:
    with proxy(leads_to=plain.port) as egress:
        out = posts(
            plain,
            resolver=there,
            plain_http=True,
            proxy=f"http://127.0.0.1:{egress.port}",
        )
        url = f"http://{HOST}{port}/hook"
        if port in {"", ":8080"}:
            assert out.post(url, b"{}", {}, seconds=20).status == 200
            assert egress.asked == [(f"1.1.1.1{port or ':80'}", None)]
            assert [each.headers["host"] for each in plain.posted] == [f"{HOST}{port}"]
        else:
            # Where others listen who speak something else.
            assert problem_of(out, url) is FetchProblem.ADDRESS_REFUSED
            assert egress.asked == []


def test_whom_the_environment_trusts_is_trusted(
    secure: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.certificate))
    out = posts(secure, ssl_context=None)
    assert out.post(secure.url(), b"{}", {}, seconds=20).status == 200
    monkeypatch.delenv("SSL_CERT_FILE")
    assert problem_of(posts(secure, ssl_context=None), secure.url()) is FetchProblem.NOT_TRUSTED


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("0", timedelta(0)),
        ("9" * 9, timedelta(seconds=999_999_999)),
        ("9" * 60, timedelta.max),
        ("9" * 60_000, None),
        ("-1", None),
        ("soon", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", timedelta(0)),
    ],
)
def test_what_a_receiver_asks_to_wait_is_told_and_breaks_nothing(
    plain: Receiver, asked: str, expected: timedelta | None
) -> None:
    plain.reply = lambda handler: answer(handler, 429, headers={"retry-after": asked})
    told = posts(plain).post(plain.url(), b"", {}, seconds=20)
    assert (told.status, told.retry_after) == (429, expected)


def test_a_certificate_must_be_trusted_and_fit_the_name(secure: Receiver) -> None:
    untrusting = posts(secure, ssl_context=None)
    assert problem_of(untrusting, secure.url()) is FetchProblem.NOT_TRUSTED
    assert problem_of(posts(secure), secure.url(host="other.test")) is FetchProblem.NOT_TRUSTED
    assert secure.posted == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"a" * MOST_CUT_BYTES, "a" * MOST_CUT_BYTES),
        (b"a" * (MOST_CUT_BYTES + 1), "a" * MOST_CUT_BYTES),
        # The last letter would be cut in two.
        (b"a" + "ü".encode() * MOST_CUT_BYTES, "a" + "ü" * 511),
        # What is not UTF-8 grows when it is replaced.
        (b"\xff" * MOST_CUT_BYTES, "\ufffd" * 341),
        (b"a\x00b\x1b[31mc\td\r\ne\xc2\x9bf", "a b [31mc\td \ne f"),
    ],
)
def test_of_an_answer_a_cut_is_kept(plain: Receiver, body: bytes, expected: str) -> None:
    plain.reply = lambda handler: answer(handler, 500, body)
    told = posts(plain).post(plain.url(), b"", {}, seconds=20)
    assert told.cut == expected
    assert len(told.cut.encode()) <= MOST_CUT_BYTES


def test_a_compressed_answer_is_not_unfolded(plain: Receiver) -> None:
    bomb = gzip.compress(bytes(10**6))
    plain.reply = lambda handler: answer(handler, 200, bomb, {"content-encoding": "gzip"})
    told = posts(plain).post(plain.url(), b"", {}, seconds=20)
    assert (told.status, told.cut) == (200, "")


def test_an_endless_answer_is_left(plain: Receiver) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not plain.ending.is_set():
            handler.wfile.write(b"x" * 1000)

    plain.reply = endless
    told = posts(plain).post(plain.url(), b"", {}, seconds=600)
    assert (told.status, told.cut) == (200, "x" * MOST_CUT_BYTES)


@pytest.mark.parametrize(
    "more",
    [b"a: b\r\n", b"x" * 1000],
    ids=["headers without end", "a header without end"],
)
def test_headers_without_end_are_left(plain: Receiver, more: bytes) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not plain.ending.is_set():
            handler.wfile.write(more)

    plain.reply = endless
    # Long before the deadline: what is read of them is bounded.
    assert problem_of(posts(plain), plain.url(), seconds=600) is FetchProblem.UNREACHABLE


def drips(to: Receiver, begin: bytes) -> None:
    """Answer with something that goes on for ever, each byte soon after the one before."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(begin)
        while not to.ending.wait(0.05):
            handler.wfile.write(b"x")

    to.reply = reply


def test_a_receiver_that_drips_is_left_at_the_deadline(secure: Receiver) -> None:
    drips(secure, b"HTTP/1.1 200 OK\r\nA: ")
    assert problem_of(posts(secure), secure.url(), seconds=0.5) is FetchProblem.TOO_SLOW


def test_a_receiver_that_takes_a_body_in_by_drops_is_left_at_the_deadline(plain: Receiver) -> None:
    whole = 64 * 2**20
    taken: list[int] = []
    over = threading.Event()

    def sips(handler: BaseHTTPRequestHandler) -> None:
        with suppress(OSError):
            while sip := handler.rfile.read(65536):
                taken.append(len(sip))
                plain.ending.wait(0.01)
        over.set()

    plain.reply, plain.leaves_body = sips, True
    assert problem_of(posts(plain), plain.url(), 0.5, bytes(whole)) is FetchProblem.TOO_SLOW
    assert over.wait(60)
    assert sum(taken) < whole


def test_an_answer_counts_once_its_status_is_there(secure: Receiver) -> None:
    drips(secure, b"HTTP/1.1 200 OK\r\n\r\nso ")
    told = posts(secure).post(secure.url(), b"", {}, seconds=0.5)
    assert told.status == 200
    assert told.cut.startswith("so ")

    def breaks_off(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nso far")

    secure.reply = breaks_off
    told = posts(secure).post(secure.url(), b"", {}, seconds=20)
    assert (told.status, told.cut) == (201, "so far")


def test_a_receiver_that_is_silent_is_left_before_the_deadline(plain: Receiver) -> None:
    plain.reply = lambda handler: plain.ending.wait(60)
    with pytest.raises(FetchFailed) as caught:
        posts(plain).post(plain.url(), b"", {}, seconds=600, stalled_seconds=0.2)
    assert caught.value.problem is FetchProblem.TOO_SLOW


def test_who_is_not_there_or_speaks_no_http_is_unreachable(plain: Receiver) -> None:
    plain.reply = lambda handler: handler.wfile.write(b"gibberish\r\n\r\n")
    assert problem_of(posts(plain), plain.url()) is FetchProblem.UNREACHABLE
    plain.reply = lambda handler: None
    assert problem_of(posts(plain), plain.url()) is FetchProblem.UNREACHABLE
    nobody = posts(plain, resolver=lambda host, port: [])
    assert problem_of(nobody, plain.url()) is FetchProblem.NOT_RESOLVED


def test_one_too_many_at_once_is_refused_and_the_place_is_free_again(plain: Receiver) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def waits(handler: BaseHTTPRequestHandler) -> None:
        reached.set()
        go_on.wait(60)
        answer(handler, 200)

    plain.reply = waits
    out = posts(plain, at_once=1)
    first = threading.Thread(target=out.post, args=(plain.url(), b"", {}), kwargs={"seconds": 60})
    first.start()
    assert reached.wait(60)
    assert problem_of(out, plain.url()) is FetchProblem.BUSY
    go_on.set()
    first.join()
    assert out.post(plain.url(), b"", {}, seconds=20).status == 200


def test_a_proxy_is_told_the_address_that_was_checked_and_no_name(secure: Receiver) -> None:
    with proxy(leads_to=secure.port) as egress:
        out = posts(secure, resolver=there, proxy=f"http://us%20er:pass@127.0.0.1:{egress.port}")
        assert out.post(secure.url(), b"{}", {"webhook-id": "a"}, seconds=20).status == 200
    assert egress.asked == [(f"1.1.1.1:{secure.port}", "Basic dXMgZXI6cGFzcw==")]
    [posted] = secure.posted
    assert posted.headers["host"] == f"{HOST}:{secure.port}"
    assert "proxy-authorization" not in posted.headers


def test_inside_the_tunnel_the_certificate_must_fit_the_name(secure: Receiver) -> None:
    with proxy(leads_to=secure.port) as egress:
        out = posts(secure, resolver=there, proxy=f"http://127.0.0.1:{egress.port}")
        assert problem_of(out, secure.url(host="other.test")) is FetchProblem.NOT_TRUSTED
        assert out.post(secure.url(), b"", {}, seconds=20).status == 200


def test_an_ipv6_address_is_told_in_brackets(secure: Receiver) -> None:
    with proxy(leads_to=secure.port) as egress:
        out = posts(
            secure,
            resolver=lambda host, port: ["2606:4700::1111"],
            proxy=f"http://127.0.0.1:{egress.port}",
        )
        out.post(secure.url(), b"", {}, seconds=20)
    assert egress.asked == [(f"[2606:4700::1111]:{secure.port}", None)]


def test_behind_a_proxy_too_private_places_are_refused(secure: Receiver) -> None:
    with proxy(leads_to=secure.port) as egress:
        out = posts(secure, permitted=[], proxy=f"http://127.0.0.1:{egress.port}")
        assert problem_of(out, secure.url()) is FetchProblem.ADDRESS_REFUSED
        assert egress.asked == []


def test_permitted_networks_are_called_without_the_proxy(plain: Receiver) -> None:
    with proxy(leads_to=plain.port) as egress:
        out = posts(plain, proxy=f"http://127.0.0.1:{egress.port}")
        assert out.post(plain.url(), b"", {}, seconds=20).status == 200
        assert egress.asked == []
    assert len(plain.posted) == 1


@pytest.mark.parametrize("status", [302, 403, 407, 502])
def test_a_proxy_that_refuses_leaves_the_receiver_unreachable(
    secure: Receiver, status: int
) -> None:
    with proxy(leads_to=secure.port) as egress:
        egress.status = status
        out = posts(secure, resolver=there, proxy=f"http://127.0.0.1:{egress.port}")
        assert problem_of(out, secure.url()) is FetchProblem.UNREACHABLE
    assert secure.posted == list[Posted]()


@pytest.mark.parametrize(
    "named", ["proxy:3128", "socks5://proxy:1080", "http://", "http://user:secret@proxy:port"]
)
def test_a_proxy_that_cannot_be_read_is_named_to_nobody(named: str) -> None:
    with pytest.raises(ValueError, match="egress proxy") as caught:
        WebhookPosts(proxy=named)
    assert "secret" not in str(caught.value)
