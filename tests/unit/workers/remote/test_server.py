from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from domain.return_codes import Refused
from workers.remote.server import NotAdmitted, NotNow, Server, ServerAway, refused_pop

URL = "https://horde.example:8443/base"
KEY = "k" * 22
UPLOAD = "https://horde.example:8443/api/v2/uploads/1?signature=secret"
AWAY = "https://store.example/1?signature=secret"

Answer = Callable[[httpx.Request], httpx.Response]


def server(answer: Answer | httpx.Response, url: str = URL) -> Server:
    given = answer if callable(answer) else lambda _request: answer
    return Server(url, KEY, agent="Hoard worker:1:tests", transport=httpx.MockTransport(given))


def refusal(status: int, **body: Any) -> httpx.Response:
    return httpx.Response(status, json=body)


@pytest.mark.parametrize("url", [URL, URL + "/", URL + "/api/v2", URL + "/api/v2/"])
def test_its_address_may_hold_the_apis_path(url: str) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"id": None})

    with server(answer, url) as remote:
        remote.pop({"name": "a"})
    assert str(asked[0].url) == URL + "/api/v2/generate/pop"
    assert asked[0].headers["apikey"] == KEY
    assert asked[0].headers["client-agent"] == "Hoard worker:1:tests"


@pytest.mark.parametrize(
    "url", ["ftp://a.example", "a.example", "https://me:pw@a.example", "http:"]
)
def test_what_is_no_address_is_said_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="must start with http") as caught:
        server(httpx.Response(200), url)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 301])
def test_what_may_pass_is_no_refusal(status: int) -> None:
    with (
        server(refusal(status, message="m", rc="AbortedGen")) as remote,
        pytest.raises(ServerAway, match=str(status)),
    ):
        remote.submit({})


def test_it_rests_as_long_as_it_is_asked_to_and_only_then() -> None:
    answers = [
        httpx.Response(429, headers={"retry-after": "17"}),
        httpx.Response(503, headers={"retry-after": "999999"}),
        httpx.Response(503, headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}),
        httpx.Response(503, headers={"retry-after": "30"}),
    ]
    with server(lambda _request: answers.pop(0)) as remote:
        rests = []
        while answers:
            with pytest.raises(ServerAway):
                remote.submit({})
            rests.append(remote.rest_seconds)
        answers.append(httpx.Response(200, json={"reward": 2.5}))
        assert remote.submit({}) == 2.5
    assert rests == [17, 600, 0, 30]
    assert remote.rest_seconds == 0


def test_no_answer_is_told_without_the_address() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"cannot reach {request.url}", request=request)

    with server(fail) as remote, pytest.raises(ServerAway) as caught:
        remote.upload(UPLOAD, b"file")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "name"),
    [
        (400, {"rc": "AbortedGen", "message": "m"}, "AbortedGen"),
        (404, {"rc": "InvalidJobID", "message": "m"}, "InvalidJobID"),
        (423, {"rc": "Locked", "message": "m"}, "Locked"),
        (400, {"rc": "SomethingNew", "message": "m"}, "BadRequest"),
        (403, {"rc": "TeamNotFound", "message": "m"}, "BadRequest"),
        (404, {"message": "Processing Job with ID 1 does not exist."}, "InvalidJobID"),
        (400, {"message": "1 already submitted."}, "DuplicateGen"),
        (400, {"message": "Please check your worker speed!"}, "AbortedGen"),
        (401, {"message": "no"}, "InvalidAPIKey"),
        (400, {"message": "no", "rc": 7}, "BadRequest"),
    ],
)
def test_a_refusal_has_its_name(status: int, body: dict[str, Any], name: str) -> None:
    with server(refusal(status, **body)) as remote, pytest.raises(Refused) as caught:
        remote.submit({})
    assert caught.value.code.name == name


def test_a_refusal_never_repeats_the_key() -> None:
    with (
        server(refusal(401, rc="InvalidAPIKey", message=f"no {KEY} here")) as remote,
        pytest.raises(Refused) as caught,
    ):
        remote.pop({})
    assert caught.value.message == "no [key] here"


def test_the_key_stays_out_of_uploads() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200)

    with server(answer) as remote:
        remote.upload(UPLOAD, b"file")
    assert (asked[0].method, asked[0].content) == ("PUT", b"file")
    assert not {"apikey", "content-type"} & set(asked[0].headers)


def test_only_the_same_scheme_host_and_port_are_its_own() -> None:
    with server(httpx.Response(200)) as remote:
        assert remote.owns(UPLOAD)
        for foreign in (
            AWAY,
            UPLOAD.replace("https", "http"),
            UPLOAD.replace(":8443", ""),
            UPLOAD.replace(":8443", ":8444"),
            UPLOAD.replace("horde.example", "horde.example.org"),
            "not an address",
            "https://[",
        ):
            assert not remote.owns(foreign), foreign
    with server(httpx.Response(200), "https://horde.example") as remote:
        assert remote.owns("https://horde.example:443/1")


@pytest.mark.parametrize(
    ("rc", "wanted"),
    [
        ("ImageValidationFailed", True),
        ("AbortedGen", False),
        ("InvalidJobID", False),
        ("Locked", True),
    ],
)
def test_a_hoard_is_asked_whether_it_still_wants_an_image(rc: str, wanted: bool) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return refusal(400, rc=rc, message="m")

    with server(answer) as remote:
        assert remote.is_wanted(UPLOAD) is wanted
    assert (asked[0].method, asked[0].content) == ("PUT", b"")


@pytest.mark.parametrize(
    "address",
    [AWAY, "https://horde.example:8443/store/1", "https://store.example/api/v2/uploads/1"],
)
def test_an_empty_file_reaches_no_other_store(address: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.method} {request.url}")

    with server(answer) as remote:
        assert remote.is_wanted(address)


@pytest.mark.parametrize("rc", ["UserNotFound", "InvalidAPIKey"])
def test_a_key_that_nobody_has_is_told_at_once(rc: str) -> None:
    with server(refusal(404, rc=rc, message="m")) as remote, pytest.raises(NotAdmitted) as caught:
        remote.require_key()
    assert caught.value.rc == "InvalidAPIKey"


def test_an_address_below_which_there_is_no_api_is_told_at_once() -> None:
    answer = refusal(404, rc="BadRequest", message="There is nothing at this address.")
    with server(answer) as remote, pytest.raises(NotAdmitted) as caught:
        remote.require_key()
    assert caught.value.rc == ""


def test_what_speaks_no_v2_api_is_told_at_once() -> None:
    with server(httpx.Response(404, text="<html>")) as remote:
        with pytest.raises(NotAdmitted) as caught:
            remote.require_key()
        assert caught.value.rc == ""
        # Later it may be a proxy whose server restarts.
        with pytest.raises(ServerAway):
            remote.submit({})


@pytest.mark.parametrize("status", [500, 429, 200])
def test_a_server_that_is_away_may_come_later(status: int) -> None:
    with server(httpx.Response(status)) as remote:
        remote.require_key()


def test_an_answer_to_a_submit_that_is_none_is_tried_again() -> None:
    with server(httpx.Response(200, text="<html>")) as remote, pytest.raises(ServerAway):
        remote.submit({})


def test_what_the_server_may_lift_is_waited_for_and_all_else_ends_the_worker() -> None:
    for name in (
        *("WorkerMaintenance", "WorkerFlaggedMaintenance", "WorkerInviteOnly", "MaintenanceMode"),
        *("TooManySameIPs", "TimeoutIP", "Locked"),
    ):
        assert isinstance(refused_pop(Refused(name)), NotNow), name
    for name in ("InvalidAPIKey", "AnonForbiddenWorker", "WorkerNameAlreadyExists", "BadRequest"):
        assert isinstance(refused_pop(Refused(name)), NotAdmitted), name
