"""The header ``X-Fields`` limits the fields of any JSON answer, as the AI Horde does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.api_client import Api, serving


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One Hoard for all of it."""
    with serving(tmp_path_factory.mktemp("masks")) as api:
        yield api


def test_an_answer_holds_the_fields_that_are_asked_for(api: Api) -> None:
    body = {"prompt": "a fox"}
    answered = api.call(
        "POST", "/generate/async", key="0000000000", json=body, headers=fields("id")
    )
    assert answered.status == 202
    assert answered.body.keys() == {"id"}
    request_id = answered.body["id"]
    checked = api.call("GET", f"/generate/check/{request_id}", headers=fields("{done, waiting}"))
    assert checked.body == {"done": False, "waiting": 1}


def test_fields_within_fields_and_in_lists(api: Api) -> None:
    api.key("somebody")
    api.catch_up()
    found = api.call("GET", "/users", headers=fields("username,records{request{image}}"))
    assert {"username": "somebody#1", "records": {"request": {"image": 0}}} in found.body


def test_the_length_is_that_of_what_is_left(api: Api) -> None:
    address = "/api/v2/status/heartbeat"
    got, head = (
        api.http.request(method, address, headers=fields("message")) for method in ("GET", "HEAD")
    )
    assert got.json() == {"message": "OK"}
    assert int(got.headers["content-length"]) == len(got.content)
    assert head.headers == got.headers
    assert head.content == b""


def test_no_cache_gives_a_part_for_the_whole(api: Api) -> None:
    whole = api.http.get("/api/v2/users")
    part = api.http.get("/api/v2/users", headers=fields("id"))
    assert "public" in whole.headers["cache-control"]
    assert part.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("text", ["{id", "id,,name", "id name", "a{b"])
def test_a_mask_that_cannot_be_read_is_refused(api: Api, text: str) -> None:
    answered = api.call("GET", "/users", headers=fields(text))
    assert (answered.status, answered.rc) == (400, "BadRequest")
    assert list(answered.body["errors"]) == ["X-Fields"]
    assert answered.headers["access-control-allow-origin"] == "*"


def test_errors_stay_whole(api: Api) -> None:
    refused = api.call("GET", "/workers/nobody", headers=fields("rc"))
    assert refused.status == 404
    assert refused.body.keys() == {"message", "rc"}


def test_what_is_no_json_stays(api: Api) -> None:
    whole, same = (api.http.get("/return-codes", headers=each) for each in ({}, fields("rc")))
    assert same.content == whole.content
    request_id = api.asked(api.key("owner"))
    api.deliver(api.popped()["ids"])
    address = api.status(request_id)["generations"][0]["img"]
    assert api.http.get(address, headers=fields("id")).content.startswith(b"RIFF")
    events = api.http.get(f"/api/v2/generate/events/{request_id}", headers=fields("id"))
    assert "event: image" in events.text


def test_a_large_answer_is_masked_too(api: Api) -> None:
    whole = api.http.get("/api/v2/openapi.json")
    assert len(whole.content) > 64 * 1024
    part = api.http.get("/api/v2/openapi.json", headers=fields("info{title}"))
    assert part.json() == {"info": {"title": "Hoard"}}


def test_an_empty_header_asks_for_everything(api: Api) -> None:
    assert "version" in api.call("GET", "/status/heartbeat", headers=fields(" ")).body


def fields(text: str) -> dict[str, str]:
    return {"x-fields": text}
