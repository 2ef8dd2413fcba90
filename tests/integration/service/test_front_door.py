"""Who calls an address above the API's own is told what this is and where to go on."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.integration.api_client import Api, serving

DOORS = ["/", "/api", "/api/", "/api/v2", "/api/v2/"]
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One Hoard for all of it."""
    with serving(tmp_path_factory.mktemp("door")) as api:
        yield api


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/json", "application/json, text/html", "text/html;q=0", "?"]
)
def test_a_program_is_told_in_json(api: Api, door: str, accept: str | None) -> None:
    headers = {} if accept is None else {"accept": accept}
    answer = api.http.get(door, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["vary"] == "Accept"
    told = answer.json()
    assert told["name"] == "Hoard"
    assert told["version"]
    assert told["api"] == "/api/v2"
    assert told["openapi"] == "/api/v2/openapi.json"
    for address in set(told["links"].values()):
        assert api.http.get(address).status_code == 200, address


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("accept", [BROWSER, "text/html", "application/json;q=0.5, text/html"])
def test_a_browser_is_told_in_a_page(api: Api, door: str, accept: str) -> None:
    answer = api.http.get(door, headers={"accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["vary"] == "Accept"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    links = re.findall('href="([^"]+)"', answer.text)
    assert "/api/v2/openapi.json" in links
    for address in links:
        assert api.http.get(address).status_code == 200, address


@pytest.mark.parametrize("door", DOORS)
def test_a_door_is_an_address_like_others(api: Api, door: str) -> None:
    refused = api.http.post(door)
    assert (refused.status_code, refused.json()["rc"]) == (405, "MethodNotAllowed")
    assert api.http.options(door).headers["allow"] == "GET, HEAD, OPTIONS"
    assert api.http.head(door).status_code == 200


def test_a_door_is_no_part_of_the_api(api: Api) -> None:
    assert not set(DOORS) & api.call("GET", "/openapi.json").body["paths"].keys()


@pytest.mark.parametrize("path", ["//", "/api//", "/api/v1/", "/api/v2//", "/index.html"])
def test_other_addresses_are_not_found(api: Api, path: str) -> None:
    assert api.http.get(f"http://testserver{path}").json()["rc"] == "NotFound"
