"""Whatever goes wrong, a client reads ``{message, rc}`` and the right status."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated

import pytest
from fastapi import FastAPI, Query
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from api.bodies import RawBody
from api.body_limit import BodyLimit
from api.errors import install_error_answers
from domain.return_codes import CATALOGUE, Refused

MOST = 1000


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A client of an application whose routes fail in every way."""
    app = FastAPI()
    install_error_answers(app)
    app.add_middleware(BodyLimit, max_body_bytes=MOST)

    @app.post("/size")
    def size(raw: RawBody) -> int:
        return len(raw)

    @app.get("/refused/{rc}")
    def refused(rc: str) -> None:
        raise Refused(rc, errors={"field": "is wrong"})

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("a secret")

    @app.get("/typed")
    def typed(number: Annotated[int, Query()]) -> int:
        return number

    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("rc", sorted(CATALOGUE))
def test_a_refusal_keeps_its_code_status_and_message(client: TestClient, rc: str) -> None:
    answer = client.get(f"/refused/{rc}")
    assert answer.status_code == CATALOGUE[rc].status
    assert answer.json() == {
        "rc": rc,
        "message": CATALOGUE[rc].message,
        "errors": {"field": "is wrong"},
    }


def test_nothing_of_an_unexpected_error_gets_out(client: TestClient) -> None:
    answer = client.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["rc"] == "InternalServerError"
    assert "secret" not in answer.text


def test_an_unknown_address(client: TestClient) -> None:
    answer = client.get("/nowhere")
    assert (answer.status_code, answer.json()["rc"]) == (404, "BadRequest")


def test_a_method_that_an_address_does_not_take(client: TestClient) -> None:
    answer = client.delete("/size")
    assert (answer.status_code, answer.json()["rc"]) == (405, "BadRequest")
    assert answer.headers["allow"] == "POST"


def test_a_parameter_of_the_wrong_type(client: TestClient) -> None:
    answer = client.get("/typed", params={"number": "many"})
    assert (answer.status_code, answer.json()["rc"]) == (400, "BadRequest")
    assert "query.number" in answer.json()["errors"]


def test_a_body_up_to_the_limit_is_taken(client: TestClient) -> None:
    assert client.post("/size", content=bytes(MOST)).json() == MOST
    assert client.post("/size", content=iter([bytes(MOST)])).json() == MOST


def test_a_body_above_the_limit_is_refused(client: TestClient) -> None:
    answer = client.post("/size", content=bytes(MOST + 1))
    assert (answer.status_code, answer.json()["rc"]) == (413, "BadRequest")
    assert "1,000" in answer.json()["message"]


def test_a_body_that_does_not_say_how_long_it_is_is_counted(client: TestClient) -> None:
    answer = client.post("/size", content=iter([bytes(600), bytes(600)]))
    assert (answer.status_code, answer.json()["rc"]) == (413, "BadRequest")


class EndlessBody:
    """A client that goes on sending for as long as anybody reads."""

    def __init__(self) -> None:
        self.read = 0
        self.answers: list[Message] = []

    async def receive(self) -> Message:
        self.read += 500
        return {"type": "http.request", "body": bytes(500), "more_body": True}

    async def send(self, message: Message) -> None:
        self.answers.append(message)


async def read_to_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["more_body"]:
        continue


def post(body: EndlessBody, header: tuple[bytes, bytes]) -> None:
    """Post an endless body to an application that reads it."""
    scope = {"type": "http", "method": "POST", "headers": [header]}
    guarded = BodyLimit(read_to_the_end, MOST)
    asyncio.run(guarded(scope, body.receive, body.send))


def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    body = EndlessBody()
    post(body, (b"content-length", b"52428800"))
    assert body.answers[0]["status"] == 413
    assert body.read == 0


def test_a_body_without_an_end_is_read_up_to_the_limit() -> None:
    body = EndlessBody()
    with pytest.raises(HTTPException) as caught:
        post(body, (b"transfer-encoding", b"chunked"))
    assert caught.value.status_code == 413
    assert body.read == MOST + 500
