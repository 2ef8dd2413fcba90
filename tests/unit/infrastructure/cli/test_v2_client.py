from __future__ import annotations

import base64
import json
from collections.abc import Callable

import httpx
import pytest

from infrastructure.cli.requests.api_client import (
    AnswerNotUnderstood,
    Generation,
    ServerRefused,
    ServerUnreachable,
    V2Client,
)

REQUEST = "8f14e45f-ceea-467f-9c6b-1d2a3b4c5d6e"
COUNTS = {
    "finished": 2,
    "processing": 1,
    "restarted": 0,
    "waiting": 0,
    "done": False,
    "faulted": False,
    "wait_time": 9,
    "queue_position": 0,
    "kudos": 12.5,
    "is_possible": True,
}

Answering = Callable[[httpx.Request], httpx.Response]


def client_of(answer: Answering, server: str = "http://hoard.test") -> V2Client:
    return V2Client(
        server, "k" * 22, client_agent="test:1:none", transport=httpx.MockTransport(answer)
    )


def always(status: int, body: object) -> Answering:
    return lambda _request: httpx.Response(status, json=body)


def generation(img: str, ref: str | None = None) -> Generation:
    remarks = [{"type": "batch_index", "value": "see_ref", "ref": ref}] if ref else []
    return Generation.model_validate(
        {"img": img, "seed": "7", "id": REQUEST, "gen_metadata": remarks}
    )


@pytest.mark.parametrize(
    "server", ["http://hoard.test", "http://hoard.test/", "http://hoard.test/api/v2"]
)
def test_a_request_is_posted_with_key_and_agent(server: str) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(202, json={"id": REQUEST, "kudos": 3.5})

    with client_of(answer, server) as client:
        accepted = client.request_images({"prompt": "a circle"})
    assert (accepted.id, accepted.kudos) == (REQUEST, 3.5)
    assert str(seen[0].url) == "http://hoard.test/api/v2/generate/async"
    assert seen[0].headers["apikey"] == "k" * 22
    assert seen[0].headers["client-agent"] == "test:1:none"
    assert json.loads(seen[0].content) == {"prompt": "a circle"}


def test_counts_are_read_and_unknown_fields_are_no_trouble() -> None:
    with client_of(always(200, COUNTS | {"new_field": 1})) as client:
        checked = client.check(REQUEST)
    assert (checked.finished, checked.processing, checked.wait_time) == (2, 1, 9)


def test_cancelling_deletes_and_tells_what_was_finished() -> None:
    methods: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        methods.append(f"{request.method} {request.url.path}")
        return httpx.Response(200, json=COUNTS | {"generations": [], "shared": False})

    with client_of(answer) as client:
        assert client.cancel(REQUEST).finished == 2
    assert methods == [f"DELETE /api/v2/generate/status/{REQUEST}"]


def test_an_error_body_is_told_with_its_return_code() -> None:
    body = {"message": "Too wide.", "rc": "InvalidSize", "errors": {"width": "not 64"}}
    with client_of(always(400, body)) as client, pytest.raises(ServerRefused) as refused:
        client.request_images({})
    assert (refused.value.status, refused.value.rc) == (400, "InvalidSize")
    assert refused.value.errors == {"width": "not 64"}
    assert str(refused.value) == "Too wide. (InvalidSize)"


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"[]", b"", b'"text"'])
def test_an_error_without_a_body_is_told_too(body: bytes) -> None:
    with (
        client_of(lambda _request: httpx.Response(502, content=body)) as client,
        pytest.raises(ServerRefused, match="HTTP 502"),
    ):
        client.check(REQUEST)


@pytest.mark.parametrize("body", [{"finished": "many"}, [], "text", None])
def test_an_answer_that_is_none_is_named(body: object) -> None:
    with client_of(always(200, body)) as client, pytest.raises(AnswerNotUnderstood):
        client.check(REQUEST)


def test_nobody_there_is_named_with_the_reason() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused")

    with (
        client_of(refuse) as client,
        pytest.raises(ServerUnreachable, match=r"hoard\.test: Connection refused"),
    ):
        client.heartbeat()


@pytest.mark.parametrize("server", ["not an address", "http://[::1", "ftp://hoard.test"])
def test_an_address_that_is_none_is_named(server: str) -> None:
    with pytest.raises(ServerUnreachable), V2Client(server, "k", client_agent="t") as client:
        client.heartbeat()


@pytest.mark.parametrize("request_id", ["../../status", "", "1", f"{REQUEST}/x"])
def test_an_id_that_is_none_leads_to_no_other_path(request_id: str) -> None:
    with client_of(always(200, COUNTS)) as client, pytest.raises(AnswerNotUnderstood):
        client.check(request_id)


def test_an_image_in_base64_is_decoded() -> None:
    with client_of(always(500, {})) as client:
        assert client.image(generation(base64.b64encode(b"webp").decode())) == b"webp"
        with pytest.raises(AnswerNotUnderstood, match="base64"):
            client.image(generation("no base64!"))


def test_an_image_is_fetched_without_the_key() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=b"webp")

    with client_of(answer) as client:
        assert client.image(generation("https://images.test/1.webp")) == b"webp"
    assert str(seen[0].url) == "https://images.test/1.webp"
    assert "apikey" not in seen[0].headers


def test_a_missing_image_is_a_refusal() -> None:
    body = {"message": "There is no such request.", "rc": "RequestNotFound"}
    with client_of(always(404, body)) as client, pytest.raises(ServerRefused, match="no such"):
        client.image(generation("https://images.test/1.webp"))


@pytest.mark.parametrize(("ref", "index"), [(None, 0), ("0", 0), ("3", 3), ("x", 0)])
def test_the_batch_index_stands_in_the_metadata(ref: str | None, index: int) -> None:
    assert generation("", ref).batch_index == index
