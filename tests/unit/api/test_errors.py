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

from api.http.bodies import RawBody
from api.http.body_limit import BodyLimit
from api.http.edge import Edge
from api.http.errors import install_error_answers
from domain.return_codes import RETURN_CODES, Refused

MOST = 1000


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A client of an application whose routes fail in every way."""
    app = FastAPI()
    install_error_answers(app, public_url="https://hoard.example/")
    app.add_middleware(BodyLimit, max_body_bytes=MOST)

    @app.post("/size")
    def size(raw: RawBody) -> int:
        return len(raw)

    @app.get("/refused/{rc}")
    def refused(rc: str) -> None:
        raise Refused(rc, errors={"field": "is wrong"})

    @app.get("/dear")
    def dear() -> None:
        raise Refused("KudosUpfront", kudos=12.5)

    @app.get("/own")
    def own() -> None:
        raise Refused("BadRequest", "seed: say which was used")

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("a secret")

    @app.get("/typed")
    def typed(number: Annotated[int, Query()]) -> int:
        return number

    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    "rc", sorted(name for name, code in RETURN_CODES.items() if code.may_be_raised)
)
def test_a_refusal_keeps_its_code_status_and_message(client: TestClient, rc: str) -> None:
    answer = client.get(f"/refused/{rc}")
    assert answer.status_code == RETURN_CODES[rc].status
    assert answer.json() == {
        "rc": rc,
        "message": RETURN_CODES[rc].message,
        "errors": {"field": "is wrong"},
    }


def test_the_client_chooses_the_language(client: TestClient) -> None:
    answer = client.get("/dear", headers={"accept-language": "de-AT, de;q=0.9, en;q=0.5"})
    assert answer.headers["content-language"] == "de"
    assert answer.json()["rc"] == "KudosUpfront"
    assert answer.json()["message"].startswith("Eine Anfrage dieser Größe braucht vorab 12.5 Kudos")
    assert "Accept-Language" in answer.headers["vary"]


def test_without_a_choice_the_language_is_english(client: TestClient) -> None:
    answer = client.get("/dear")
    assert answer.headers["content-language"] == "en"
    assert "12.5 kudos up front" in answer.json()["message"]


def test_what_only_developers_meet_is_in_english(client: TestClient) -> None:
    answer = client.get("/own", headers={"accept-language": "de"})
    assert answer.headers["content-language"] == "en"
    assert answer.json() == {"message": "seed: say which was used", "rc": "BadRequest"}


def test_a_body_that_is_too_large_is_refused_in_the_form_that_is_asked_for(
    client: TestClient,
) -> None:
    answer = client.post(
        "/size", content=bytes(MOST + 1), headers={"accept": "application/problem+json"}
    )
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 413


def test_problem_details(client: TestClient) -> None:
    answer = client.get(
        "/dear", headers={"accept": "application/problem+json", "accept-language": "fr"}
    )
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "https://hoard.example/return-codes#KudosUpfront",
        "title": "Une demande de cette taille exige plus de kudos que le compte n'en a.",
        "status": 403,
        "detail": (
            "Une demande de cette taille exige 12.5 kudos d'avance, et le compte en a moins."
        ),
        "rc": "KudosUpfront",
    }


def test_problem_details_say_which_fields_are_wrong(client: TestClient) -> None:
    answer = client.get("/refused/InvalidSize", headers={"accept": "application/problem+json"})
    assert answer.json()["errors"] == {"field": "is wrong"}
    assert answer.json()["detail"] == RETURN_CODES["InvalidSize"].message


@pytest.mark.parametrize(
    ("accept", "problem"),
    [
        ("application/problem+json", True),
        ("application/json, application/problem+json", True),
        ("application/json;q=0.5, application/problem+json;q=0.9", True),
        ("application/json, application/problem+json;q=0.9", False),
        ("application/problem+json;q=0", False),
        ("application/problem+json;q=high", False),
        ("application/json", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("", False),
        (";;;,,q=", False),
    ],
)
def test_problem_details_are_for_those_who_ask_for_them(
    client: TestClient, accept: str, problem: bool
) -> None:
    answer = client.get("/dear", headers={"accept": accept})
    assert ("type" in answer.json()) is problem
    assert answer.json()["rc"] == "KudosUpfront"


def test_nothing_of_an_unexpected_error_gets_out(client: TestClient) -> None:
    answer = client.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["rc"] == "InternalServerError"
    assert "secret" not in answer.text


def test_an_unknown_address(client: TestClient) -> None:
    answer = client.get("/nowhere")
    assert (answer.status_code, answer.json()["rc"]) == (404, "NotFound")


def test_a_method_that_an_address_does_not_take(client: TestClient) -> None:
    answer = client.delete("/size")
    assert (answer.status_code, answer.json()["rc"]) == (405, "MethodNotAllowed")
    assert answer.headers["allow"] == "POST, OPTIONS"


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


def test_a_defect_is_logged_whatever_the_method(api_with_a_defect: TestClient) -> None:
    """Servers log what leaves the application."""
    for method in ("GET", "HEAD"):
        with pytest.raises(RuntimeError, match="a secret"):
            api_with_a_defect.request(method, "/broken")


@pytest.fixture
def api_with_a_defect() -> Iterator[TestClient]:
    """A client that sees what leaves an application behind the edge."""
    app = FastAPI()
    install_error_answers(app)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("a secret")

    with TestClient(Edge(app, app.router)) as client:
        yield client
