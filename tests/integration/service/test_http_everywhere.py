"""What HTTP asks of addresses, at all of them: heads, methods, preflights, codings and bounds."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from uuid import uuid4

import pytest

from api.app import hub_of
from infrastructure.keys.api_keys import ANONYMOUS_KEY
from tests.integration.api_client import Api, serving

MOST = 64 * 1024
PAGE = {"origin": "https://front.example"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One Hoard for all of it, which takes small bodies only."""
    with serving(tmp_path_factory.mktemp("everywhere"), max_body_bytes=MOST) as api:
        yield api


def described(api: Api, method: str) -> list[str]:
    """Return the addresses that take a method, with an id in them that nothing has."""
    paths = api.call("GET", "/openapi.json").body["paths"]
    return [re.sub("{.*?}", str(uuid4()), path) for path, each in paths.items() if method in each]


@pytest.mark.parametrize("spaced", [" {}", "{}\t", " \t {} \t "])
def test_blanks_around_an_idempotency_key(api: Api, spaced: str) -> None:
    key = str(uuid4())
    asked = [
        api.call(
            "POST",
            "/generate/async",
            headers={"apikey": ANONYMOUS_KEY, "idempotency-key": each},
            json={"prompt": "a fox"},
        )
        for each in (key, spaced.format(key))
    ]
    assert asked[0].body["id"] == asked[1].body["id"]


def test_blanks_around_the_tag_of_an_image(api: Api) -> None:
    address = image_address(api)
    tag = api.http.get(address).headers["etag"]
    assert api.http.get(address, headers={"if-none-match": f"\t{tag} "}).status_code == 304


def image_address(api: Api) -> str:
    request_id = api.asked(api.key("owner"))
    api.deliver(api.popped()["ids"])
    return str(api.status(request_id)["generations"][0]["img"])


def test_head_is_get_without_the_body(api: Api) -> None:
    key = api.key("mod", moderator=True)
    addresses = [*described(api, "get"), "/return-codes", "/register", image_address(api)]
    assert len(addresses) > 20
    for address in addresses:
        got = api.http.get(address, headers={"apikey": key})
        head = api.http.head(address, headers={"apikey": key})
        assert (head.status_code, head.content) == (got.status_code, b""), address
        assert head.headers == got.headers, address
        assert int(head.headers["content-length"]) == len(got.content), address


def test_head_of_a_stream_leaves_nobody_waiting(api: Api) -> None:
    address = f"/api/v2/generate/events/{api.asked()}"
    assert api.http.head(address).status_code == 200
    assert hub_of(api.http.app).subscriptions == 0  # type: ignore[arg-type]


def test_options_names_the_methods_of_every_address(api: Api) -> None:
    for method in ("get", "post", "put", "patch", "delete"):
        for address in described(api, method):
            asked = api.http.options(address)
            assert asked.status_code == 204, address
            assert method.upper() in asked.headers["allow"].split(", "), address


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/generate/async", "/status/modes", "/nowhere", "/teams"])
def test_a_page_may_send_what_is_refused_and_read_why(api: Api, method: str, path: str) -> None:
    asked = api.http.options(
        f"/api/v2{path}",
        headers={
            **PAGE,
            "access-control-request-method": method,
            "access-control-request-headers": "apikey,x-fields",
        },
    )
    assert asked.status_code == 204
    assert asked.headers.get_list("access-control-allow-origin") == ["*"]
    assert method in asked.headers["access-control-allow-methods"].split(", ")
    assert asked.headers["access-control-allow-headers"] == "apikey,x-fields"
    assert "access-control-allow-private-network" not in asked.headers
    answer = api.http.request(method, f"/api/v2{path}", headers=PAGE)
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]


@pytest.mark.parametrize("path", ["/generate/pop", "/uploads/x", "/operations/ipaddr"])
@pytest.mark.parametrize(
    "codings", [["identity", "gzip"], ["", "gzip"], ["gzip", "identity"], [" GZIP\t"], ["zstd"]]
)
def test_no_coding_of_several_slips_through(api: Api, path: str, codings: list[str]) -> None:
    method = {"/uploads/x": "PUT", "/operations/ipaddr": "DELETE"}.get(path, "POST")
    headers = [(b"content-encoding", coding.encode()) for coding in codings]
    answer = api.http.request(
        method, f"/api/v2{path}", content=gzip.compress(b"{}"), headers=headers
    )
    assert answer.status_code == 415


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_every_body_is_bounded(api: Api, method: str) -> None:
    for address in described(api, method):
        for content in (bytes(MOST + 1), iter([bytes(MOST + 1)])):
            if isinstance(content, bytes) or takes_body(api, method, address):
                answer = api.http.request(method, address, content=content)
                assert answer.status_code == 413, (address, type(content))


def takes_body(api: Api, method: str, address: str) -> bool:
    """Say whether a route reads a body."""
    paths = api.call("GET", "/openapi.json").body["paths"]
    return any(
        "requestBody" in each.get(method, {})
        for path, each in paths.items()
        if re.fullmatch(re.sub("{.*?}", "[^/]+", path), address)
    )


def test_what_every_address_may_answer_is_described(api: Api) -> None:
    for path, methods in api.call("GET", "/openapi.json").body["paths"].items():
        for method, route in methods.items():
            wanted = {"413", "415"} if "requestBody" in route else set()
            if "500" in route["responses"]:
                wanted.add("503")
            assert wanted <= set(route["responses"]), (method, path)
