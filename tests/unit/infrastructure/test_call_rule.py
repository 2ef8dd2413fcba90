"""Which addresses may be called at all, as far as that can be said before a name is looked up."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from domain.service.fetching import FetchFailed, FetchProblem
from infrastructure.outbound.call_rule import CallRule
from infrastructure.outbound.public_addresses import address_from
from tests.hostile_addresses import HOSTS_REFUSED, URLS_INVALID

STRICT = CallRule(())
OPEN = CallRule((ip_network("10.1.0.0/16"),), plain_http=True)


def problem_of(rule: CallRule, url: str) -> FetchProblem | None:
    try:
        rule.require_readable(url)
    except FetchFailed as failed:
        return failed.problem
    return None


@pytest.mark.parametrize(
    "url",
    [
        "https://bot.example/hoard?job=1",
        "https://bot.example:8443/",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
        "https://bücher.example/",
    ],
)
def test_public_addresses_with_tls_pass(url: str) -> None:
    assert problem_of(STRICT, url) is None


@pytest.mark.parametrize(
    "url", ["http://bot.example/", "http://1.1.1.1/", "ftp://bot.example/", "bot.example", ""]
)
def test_nothing_passes_without_tls(url: str) -> None:
    assert problem_of(STRICT, url) is FetchProblem.ADDRESS_INVALID


@pytest.mark.parametrize(
    "url", ["http://bot.example/", "http://1.1.1.1:8080/", "http://10.1.2.3:25/x"]
)
def test_an_operator_may_let_plain_http_pass(url: str) -> None:
    assert problem_of(OPEN, url) is None


@pytest.mark.parametrize(
    "url", ["http://10.2.0.1/", "http://127.0.0.1/", "http://1.1.1.1:25/", "https://1.1.1.1:25/"]
)
def test_plain_http_opens_neither_private_networks_nor_other_protocols(url: str) -> None:
    assert problem_of(OPEN, url) is FetchProblem.ADDRESS_REFUSED


@pytest.mark.parametrize("url", URLS_INVALID.values(), ids=URLS_INVALID)
def test_what_is_written_to_mislead_is_refused(url: str) -> None:
    assert problem_of(STRICT, url) is not None


def is_literal(host: str) -> bool:
    try:
        address_from(host.strip("[]"))
    except ValueError:
        return False
    return True


LITERAL = {name: host for name, host in HOSTS_REFUSED.items() if is_literal(host)}
"""The others are written as numbers in other ways, or names that are looked up when called."""


@pytest.mark.parametrize("host", LITERAL.values(), ids=LITERAL)
def test_an_address_that_leads_inside_is_refused_before_it_is_ever_called(host: str) -> None:
    assert problem_of(STRICT, f"https://{host}/") is not None
