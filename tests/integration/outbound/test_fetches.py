"""Fetching from strangers' addresses: a real server that behaves and misbehaves, over TLS."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from domain.service.fetching import FetchFailed, FetchLimits, FetchProblem
from infrastructure.outbound.guard import Outbound, resolve
from tests.web_server import HOST, WebServer, web_server

LOOPBACK = ip_network("127.0.0.0/8")
LIMITS = FetchLimits(max_bytes=1000, seconds=20, media_types=("image/",))
SHORT = FetchLimits(max_bytes=10**9, seconds=0.5, media_types=("image/",))


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[WebServer]:
    with web_server(tmp_path) as server:
        yield server


@pytest.fixture
def plain() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


def names(host: str, port: int) -> Sequence[str]:
    """A name server that knows one host, and the rest as the system does."""
    return ["127.0.0.1"] if host == HOST else resolve(host, port)


def outbound(server: WebServer, **options: Any) -> Outbound:
    """What may call this machine, and trusts the server."""
    given = {"permitted": [LOOPBACK], "resolver": names, **options}
    if server.certificate:
        given.setdefault("ssl_context", server.trusting())
    return Outbound(**given)


def problem_of(out: Outbound, url: str, limits: FetchLimits = LIMITS) -> FetchProblem:
    with pytest.raises(FetchFailed) as caught:
        out.get(url, limits)
    assert HOST not in str(caught.value)
    return caught.value.problem


def test_an_image_is_fetched_over_tls(secure: WebServer) -> None:
    url = secure.url(secure.answers("/a?b=c", b"image", "Image/WebP; q=1"))
    fetched = outbound(secure).get(url, LIMITS)
    assert (fetched.data, fetched.media_type) == (b"image", "image/webp")
    sent = secure.headers[0]
    assert sent["host"] == f"{HOST}:{secure.port}"
    assert sent["accept-encoding"] == "identity"
    assert not {"cookie", "authorization", "referer"} & set(sent)


def test_what_is_not_ascii_is_encoded(secure: WebServer) -> None:
    secure.answers("/%C3%BC%20b?q=%C3%A4", b"image")
    assert outbound(secure).get(secure.url("/ü%20b?q=ä"), LIMITS).data == b"image"


def test_a_certificate_must_be_trusted_and_fit_the_name(secure: WebServer) -> None:
    secure.answers("/", b"image")
    untrusting = outbound(secure, ssl_context=None)
    assert problem_of(untrusting, secure.url("/")) is FetchProblem.NOT_TRUSTED
    other_name = outbound(secure, resolver=lambda host, port: ["127.0.0.1"])
    assert problem_of(other_name, secure.url("/", "other.test")) is FetchProblem.NOT_TRUSTED
    assert other_name.get(secure.url("/"), LIMITS).data == b"image"
    assert secure.asked == ["/"]


def test_plain_http_is_for_permitted_networks_only(plain: WebServer) -> None:
    plain.answers("/", b"image")
    assert outbound(plain).get(plain.url("/"), LIMITS).data == b"image"
    assert problem_of(outbound(plain, permitted=[]), plain.url("/")) is FetchProblem.ADDRESS_INVALID
    public = outbound(plain, resolver=lambda host, port: ["1.1.1.1"])
    assert problem_of(public, plain.url("/")) is FetchProblem.ADDRESS_INVALID


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "[::]",
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "[64:ff9b::168.63.129.16]",
        "[2606:4700::5efe:10.0.0.1]",
        "[2606:4700::200:5efe:a9fe:a9fe]",
        "192.168.1.1",
        "224.0.0.1",
        "255.255.255.255",
        "[ff02::1]",
    ],
)
def test_addresses_that_are_not_public_are_refused(secure: WebServer, host: str) -> None:
    secure.answers("/", b"image")
    shut = outbound(secure, permitted=[])
    assert problem_of(shut, secure.url("/", host)) is FetchProblem.ADDRESS_REFUSED
    assert secure.asked == []


def test_one_private_address_among_public_ones_refuses_them_all(secure: WebServer) -> None:
    mixed = outbound(secure, permitted=[], resolver=lambda host, port: ["1.1.1.1", "127.0.0.1"])
    assert problem_of(mixed, secure.url("/")) is FetchProblem.ADDRESS_REFUSED


@pytest.mark.parametrize(
    "url",
    [
        "",
        "images.test/a",
        "ftp://images.test/a",
        "file:///etc/passwd",
        "https://",
        "https:///a",
        "https://user:pass@images.test/a",
        "https://user@images.test/a",
        "https://@images.test/a",
        "https://images.test:0/a",
        "https://images.test:65536/a",
        "https://images.test:x/a",
        "https://images.test/a b",
        "https://images.test/a\r\nHost: inside",
        "https://images.test\\@inside/a",
        "https://[::1/a",
        "https://a..b/",
        "https://images.test/\ud800",
        "https://images.test/" + "a" * 3000,
    ],
)
def test_an_address_that_cannot_be_read_is_invalid(secure: WebServer, url: str) -> None:
    assert problem_of(outbound(secure), url) is FetchProblem.ADDRESS_INVALID


def test_ports_of_other_protocols_are_refused(secure: WebServer) -> None:
    public = outbound(secure, permitted=[], resolver=lambda host, port: ["1.1.1.1"])
    for port in (22, 25, 80, 1023):
        assert problem_of(public, f"https://{HOST}:{port}/") is FetchProblem.ADDRESS_REFUSED


def test_a_name_that_changes_its_mind_is_not_asked_again(secure: WebServer) -> None:
    secure.answers("/", b"image")
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    assert outbound(secure, resolver=rebinding).get(secure.url("/"), LIMITS).data == b"image"
    assert asked == [HOST]


def test_a_redirect_is_followed_and_checked(secure: WebServer) -> None:
    secure.answers("/image", b"image")
    secure.redirects("/relative", "image", 303)
    secure.redirects("/absolute", secure.url("/relative"), 307)
    out = outbound(secure)
    assert out.get(secure.url("/absolute"), LIMITS).data == b"image"
    assert secure.asked == ["/absolute", "/relative", "/image"]
    for to, expected in (
        ("https://10.0.0.1/", FetchProblem.ADDRESS_REFUSED),
        ("https://169.254.169.254/latest/meta-data", FetchProblem.ADDRESS_REFUSED),
        ("https://[::ffff:10.0.0.1]/", FetchProblem.ADDRESS_REFUSED),
        ("http://1.1.1.1/", FetchProblem.ADDRESS_INVALID),
        ("file:///etc/passwd", FetchProblem.ADDRESS_INVALID),
        ("//[::1", FetchProblem.ADDRESS_INVALID),
        ("https://user:pass@images.test/", FetchProblem.ADDRESS_INVALID),
    ):
        secure.redirects("/away", to)
        assert problem_of(out, secure.url("/away")) is expected, to


def test_redirects_come_to_an_end(secure: WebServer) -> None:
    secure.redirects("/loop", "/loop")
    assert problem_of(outbound(secure), secure.url("/loop")) is FetchProblem.TOO_MANY_REDIRECTS
    assert len(secure.asked) == 1 + LIMITS.redirects


def test_a_redirect_to_nowhere_is_none(secure: WebServer) -> None:
    secure.redirects("/nowhere", "")
    assert problem_of(outbound(secure), secure.url("/nowhere")) is FetchProblem.WRONG_STATUS


@pytest.mark.parametrize("status", [201, 204, 404, 500])
def test_only_200_is_an_answer(secure: WebServer, status: int) -> None:
    secure.answers("/", b"", status=status)
    assert problem_of(outbound(secure), secure.url("/")) is FetchProblem.WRONG_STATUS


@pytest.mark.parametrize("media_type", ["text/html", "application/json", "", "imagery/webp"])
def test_what_is_not_wanted_is_not_read(secure: WebServer, media_type: str) -> None:
    secure.answers("/", b"<html>", media_type)
    assert problem_of(outbound(secure), secure.url("/")) is FetchProblem.WRONG_TYPE


def test_a_compressed_body_is_not_unfolded(secure: WebServer) -> None:
    bomb = gzip.compress(bytes(10**6))

    def page(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "image/webp")
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(bomb)))
        handler.end_headers()
        handler.wfile.write(bomb)

    secure.pages["/"] = page
    assert problem_of(outbound(secure), secure.url("/")) is FetchProblem.WRONG_TYPE


def test_a_body_may_be_as_large_as_it_may_be_and_no_larger(secure: WebServer) -> None:
    out = outbound(secure)
    fits = secure.answers("/fits", bytes(LIMITS.max_bytes))
    assert len(out.get(secure.url(fits), LIMITS).data) == LIMITS.max_bytes
    secure.answers("/declared", bytes(LIMITS.max_bytes + 1))
    assert problem_of(out, secure.url("/declared")) is FetchProblem.TOO_LARGE

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/webp\r\n\r\n")
        while not secure.ending.is_set():
            handler.wfile.write(bytes(1000))

    secure.pages["/endless"] = endless
    assert problem_of(out, secure.url("/endless")) is FetchProblem.TOO_LARGE


def drips(server: WebServer, path: str, begin: bytes) -> str:
    """Answer with something that goes on for ever, each byte soon after the one before."""

    def page(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(begin)
        while not server.ending.wait(0.01):
            handler.wfile.write(b"x")

    server.pages[path] = page
    return server.url(path)


def test_a_server_that_drips_is_left_at_the_deadline(secure: WebServer) -> None:
    out = outbound(secure)
    for begin in (b"HTTP/1.1 200 OK\r\nA: ", b"HTTP/1.1 200 OK\r\nContent-Type: image/a\r\n\r\n"):
        assert problem_of(out, drips(secure, "/slow", begin), SHORT) is FetchProblem.TOO_SLOW


def test_a_name_server_that_is_silent_is_left_at_the_deadline(secure: WebServer) -> None:
    over = threading.Event()

    def silent(host: str, port: int) -> Sequence[str]:
        over.wait(60)
        return ["127.0.0.1"]

    out = outbound(secure, resolver=silent)
    assert problem_of(out, secure.url("/"), SHORT) is FetchProblem.TOO_SLOW
    over.set()
    out.close()


def test_who_is_not_there_or_speaks_no_http_is_unreachable(
    secure: WebServer, plain: WebServer
) -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    assert (
        problem_of(outbound(secure, resolver=unknown), secure.url("/")) is FetchProblem.NOT_RESOLVED
    )
    nobody = outbound(secure, resolver=lambda host, port: [])
    assert problem_of(nobody, secure.url("/")) is FetchProblem.NOT_RESOLVED
    assert (
        problem_of(outbound(plain), f"https://127.0.0.1:{plain.port}/") is FetchProblem.NOT_TRUSTED
    )

    def gibberish(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"gibberish\r\n\r\n")

    plain.pages["/"] = gibberish
    assert problem_of(outbound(plain), plain.url("/")) is FetchProblem.UNREACHABLE


def test_an_address_that_leads_nowhere_does_not_keep_from_the_next(secure: WebServer) -> None:
    secure.answers("/", b"image")
    # Nothing listens on that port of the first.
    out = outbound(secure, resolver=lambda host, port: ["127.0.0.0", "127.0.0.1"])
    assert out.get(secure.url("/"), LIMITS).data == b"image"


def test_one_too_many_at_once_is_refused_and_the_place_is_free_again(secure: WebServer) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def waits(handler: BaseHTTPRequestHandler) -> None:
        reached.set()
        go_on.wait(60)
        handler.wfile.write(b"HTTP/1.1 404 Not Found\r\n\r\n")

    secure.pages["/waits"] = waits
    secure.answers("/", b"image")
    out = outbound(secure, at_once=1)
    first = threading.Thread(target=problem_of, args=(out, secure.url("/waits")))
    first.start()
    assert reached.wait(60)
    assert problem_of(out, secure.url("/")) is FetchProblem.BUSY
    go_on.set()
    first.join()
    assert out.get(secure.url("/"), LIMITS).data == b"image"
