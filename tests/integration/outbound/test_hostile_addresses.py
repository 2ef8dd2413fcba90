"""Addresses that would lead us into places of our own: each refused, and nothing connected to."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import httpcore
import pytest

from domain.service.fetching import FetchFailed, FetchLimits, FetchProblem
from infrastructure.webhooks.posts import WebhookPosts
from tests.hostile_addresses import HOSTS_REFUSED, PRIVATE, PUBLIC, URLS_INVALID
from tests.web_server import HOST, WebServer, web_server
from tests.webhook_receiver import Receiver, answer, proxy, receiver

LIMITS = FetchLimits(max_bytes=1000, seconds=60)
LOOPBACK = ip_network("127.0.0.0/8")


def hostile(host: str, port: int) -> Sequence[str]:
    """A name server of which every name leads inside; numbers are read as the system reads them."""
    try:
        found = socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST)
    except OSError:
        return [{"metadata.google.internal": "169.254.169.254"}.get(host, "127.0.0.1")]
    return [str(entry[4][0]) for entry in found]


@dataclass
class Connecting:
    """Notes where connections would have led; none is made."""

    to: list[tuple[str, int]] = field(default_factory=list)


@pytest.fixture
def connecting(monkeypatch: pytest.MonkeyPatch) -> Connecting:
    """Stand between the guard and the network."""
    noting = Connecting()

    def connect_tcp(_: object, host: str, port: int, *__: object) -> httpcore.NetworkStream:
        noting.to.append((host, port))
        raise httpcore.ConnectError

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect_tcp)
    return noting


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[WebServer]:
    with web_server(tmp_path) as server:
        yield server


@pytest.fixture
def to(tmp_path: Path) -> Iterator[Receiver]:
    with receiver(tmp_path) as running:
        yield running


def ways(out: WebhookPosts) -> dict[str, Callable[[str], object]]:
    """All ways of calling an address."""

    def streamed(url: str) -> None:
        with out.stream(url, seconds=60, stalled_seconds=60, headers={}, credentials={}):
            pass

    return {
        "post": lambda url: out.post(url, b"{}", {}, seconds=60),
        "get": lambda url: out.get(url, LIMITS),
        "put": lambda url: out.put(url, b"a", seconds=60),
        "stream": streamed,
    }


def troubles(out: WebhookPosts, url: str) -> dict[str, FetchProblem]:
    """Call an address in all ways, and return why each was refused."""
    found: dict[str, FetchProblem] = {}
    for name, call in ways(out).items():
        with pytest.raises(FetchFailed) as caught:
            call(url)
        found[name] = caught.value.problem
    return found


@pytest.mark.parametrize("host", HOSTS_REFUSED.values(), ids=HOSTS_REFUSED)
def test_what_leads_inside_is_refused(connecting: Connecting, host: str) -> None:
    out = WebhookPosts(resolver=hostile)
    assert set(troubles(out, f"https://{host}/").values()) == {FetchProblem.ADDRESS_REFUSED}
    assert connecting.to == []
    out.close()


@pytest.mark.parametrize("host", HOSTS_REFUSED.values(), ids=HOSTS_REFUSED)
def test_plain_http_opens_none_of_it_where_it_may_be_used(
    connecting: Connecting, host: str
) -> None:
    out = WebhookPosts(resolver=hostile, plain_http=True)
    # Each protocol's own port is what differs.
    url = f"http://{host.replace(':80', ':443') if host == f'{PUBLIC}:80' else host}/"
    assert set(troubles(out, url).values()) == {FetchProblem.ADDRESS_REFUSED}
    assert connecting.to == []
    out.close()


@pytest.mark.parametrize("url", URLS_INVALID.values(), ids=URLS_INVALID)
def test_what_is_written_to_mislead_is_refused(connecting: Connecting, url: str) -> None:
    # Where it leads is public: what is refused is how it is written.
    out = WebhookPosts(resolver=lambda host, port: [PUBLIC])
    assert set(troubles(out, url).values()) == {FetchProblem.ADDRESS_INVALID}
    assert connecting.to == []
    out.close()


NUMBERS = {
    name: host
    for name, host in HOSTS_REFUSED.items()
    if name.startswith(("loopback", "nothing", "private", "metadata in", "broadcast"))
    # What is percent-encoded stays as it is: a name, and none that leads anywhere.
    and "%" not in host
}


@pytest.mark.parametrize("host", NUMBERS.values(), ids=NUMBERS)
def test_a_number_in_any_writing_is_refused_before_anybody_is_asked(host: str) -> None:
    out = WebhookPosts(resolver=lambda host, port: pytest.fail("a name was looked up"))
    with pytest.raises(FetchFailed) as caught:
        out.rule.require_readable(f"https://{host}/")
    assert caught.value.problem is FetchProblem.ADDRESS_REFUSED
    out.close()


@pytest.mark.parametrize("host", ["16843009", "0x1010101", "1.1", "1.1.1.1.", "example.com."])
def test_a_number_that_leads_outside_is_as_good_as_a_name(host: str) -> None:
    out = WebhookPosts(resolver=lambda host, port: pytest.fail("a name was looked up"))
    out.rule.require_readable(f"https://{host}/")
    out.close()


def test_public_places_are_not_refused(connecting: Connecting) -> None:
    out = WebhookPosts(resolver=hostile)
    for host, address, port in (
        (PUBLIC, PUBLIC, 443),
        (f"{PUBLIC}:8443", PUBLIC, 8443),
        ("[2606:4700::1111]", "2606:4700::1111", 443),
        ("[::ffff:1.1.1.1]", "::ffff:101:101", 443),
        ("[64:ff9b::1.1.1.1]", "64:ff9b::101:101", 443),
    ):
        assert set(troubles(out, f"https://{host}/").values()) == {FetchProblem.UNREACHABLE}
        assert connecting.to == [(address, port)] * len(ways(out))
        connecting.to.clear()
    out.close()


@pytest.mark.parametrize(
    "addresses",
    [
        [PUBLIC, PRIVATE],
        [PRIVATE, PUBLIC],
        [PUBLIC, "::1"],
        ["2606:4700::1111", PUBLIC, "::ffff:127.0.0.1"],
    ],
)
def test_one_private_address_of_a_name_refuses_it(
    connecting: Connecting, addresses: list[str]
) -> None:
    out = WebhookPosts(resolver=lambda host, port: addresses)
    assert set(troubles(out, f"https://{HOST}/").values()) == {FetchProblem.ADDRESS_REFUSED}
    assert connecting.to == []
    out.close()


def test_a_name_public_first_and_private_second_is_called_where_it_was_checked(
    connecting: Connecting,
) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return [PUBLIC] if len(asked) == 1 else [PRIVATE]

    for name in ways(WebhookPosts()):
        asked.clear()
        connecting.to.clear()
        out = WebhookPosts(resolver=rebinding)
        call = ways(out)[name]
        with pytest.raises(FetchFailed) as caught:
            call(f"https://{HOST}/")
        assert caught.value.problem is FetchProblem.UNREACHABLE
        # Asked once; the connection led to that very answer.
        assert asked == [HOST]
        assert connecting.to == [(PUBLIC, 443)]
        with pytest.raises(FetchFailed) as caught:
            call(f"https://{HOST}/")
        assert caught.value.problem is FetchProblem.ADDRESS_REFUSED
        assert connecting.to == [(PUBLIC, 443)]
        out.close()


def test_behind_a_proxy_a_second_answer_changes_nothing_either(to: Receiver) -> None:
    answers = iter([[PUBLIC], [PRIVATE]])
    with proxy(leads_to=to.port) as egress:
        out = WebhookPosts(
            resolver=lambda host, port: next(answers),
            ssl_context=to.trusting(),
            proxy=f"http://127.0.0.1:{egress.port}",
        )
        assert out.post(to.url(), b"", {}, seconds=60).status == 200
        with pytest.raises(FetchFailed) as caught:
            out.post(to.url(), b"", {}, seconds=60)
        out.close()
    assert caught.value.problem is FetchProblem.ADDRESS_REFUSED
    assert egress.asked == [(f"{PUBLIC}:{to.port}", None)]


REDIRECTS = {
    f"https://{PRIVATE}/": FetchProblem.ADDRESS_REFUSED,
    "https://169.254.169.254/latest/meta-data": FetchProblem.ADDRESS_REFUSED,
    "https://2852039166/": FetchProblem.ADDRESS_REFUSED,
    "https://[::1]/": FetchProblem.ADDRESS_REFUSED,
    "https://[::ffff:10.0.0.1]/": FetchProblem.ADDRESS_REFUSED,
    "https://[64:ff9b::a00:1]/": FetchProblem.ADDRESS_REFUSED,
    "//10.0.0.1/": FetchProblem.ADDRESS_REFUSED,
    "https://inside.test/": FetchProblem.ADDRESS_REFUSED,
    "http://1.1.1.1/": FetchProblem.ADDRESS_INVALID,
    "http://10.0.0.1/": FetchProblem.ADDRESS_INVALID,
    "file:///etc/passwd": FetchProblem.ADDRESS_INVALID,
    "gopher://127.0.0.1:6379/_FLUSHALL": FetchProblem.ADDRESS_INVALID,
    "\\\\10.0.0.1\\": FetchProblem.ADDRESS_INVALID,
    "https://user:pass@images.test/": FetchProblem.ADDRESS_INVALID,
}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_fetch_is_not_sent_on_to_a_private_place(secure: WebServer, status: int) -> None:
    def names(host: str, port: int) -> Sequence[str]:
        return hostile({HOST: "127.0.0.1", "inside.test": PRIVATE}.get(host, host), port)

    out = WebhookPosts(permitted=[LOOPBACK], resolver=names, ssl_context=secure.trusting())
    for to, expected in REDIRECTS.items():
        secure.redirects("/away", to, status)
        with pytest.raises(FetchFailed) as caught:
            out.get(secure.url("/away"), LIMITS)
        assert caught.value.problem is expected, to
    assert secure.asked == ["/away"] * len(REDIRECTS)
    out.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_post_is_not_sent_on_at_all(to: Receiver, status: int) -> None:
    asked: list[str] = []

    def names(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    out = WebhookPosts(permitted=[LOOPBACK], resolver=names, ssl_context=to.trusting())
    for away in (*REDIRECTS, to.url("/elsewhere")):
        to.reply = partial(answer, status=status, headers={"location": away})
        assert out.post(to.url(), b"", {}, seconds=60).status == status
    assert {each.path for each in to.posted} == {"/hook"}
    assert set(asked) == {HOST}
    out.close()
