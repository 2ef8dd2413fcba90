"""Whatever clients send, the API answers with a return code and a message, and never with a 500."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.v2.requests.schemas import GenerationInputStable
from api.v2.work.schemas import PopInputStable, SubmitInputStable
from domain.return_codes import RETURN_CODES
from infrastructure.keys.api_keys import ANONYMOUS_KEY
from infrastructure.processes.api import app_of
from tests.integration.api_client import Api, serving

KEY = "1" * 22
NOBODYS_ID = "11111111-1111-4111-8111-111111111111"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One Hoard for all that is refused: nothing of it stays."""
    with serving(tmp_path_factory.mktemp("refusals")) as api:
        yield api


@pytest.mark.parametrize(
    "request_id", ["nothing", NOBODYS_ID, "%00", "..%2f..", "ünïcode", "a" * 999]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/generate/check/{}"),
        ("GET", "/generate/status/{}"),
        ("DELETE", "/generate/status/{}"),
    ],
)
def test_an_unknown_request(api: Api, method: str, path: str, request_id: str) -> None:
    answered = api.call(method, path.format(request_id))
    assert answered.status == 404
    assert answered.rc in {"RequestNotFound", "NotFound"}


def test_an_id_of_something_else_is_no_request(api: Api) -> None:
    worker_id = api.hoard.ledger.accounts.open("nobody", "0" * 64, api.hoard.operator.roles)
    answered = api.call("GET", f"/generate/check/{worker_id}")
    assert (answered.status, answered.rc) == (404, "RequestNotFound")
    answered = api.call("DELETE", f"/generate/status/{worker_id}")
    assert (answered.status, answered.rc) == (404, "RequestNotFound")


@pytest.mark.parametrize("path", ["/generate/async", "/generate/pop", "/generate/submit"])
@pytest.mark.parametrize("key", [None, "", KEY, "0" * 9, "0" * 11, "k" * 10_000])
def test_a_bad_key(api: Api, path: str, key: str | None) -> None:
    answered = api.call("POST", path, key=key, json={})
    assert (answered.status, answered.rc) == (401, "InvalidAPIKey")


def test_a_key_is_bytes_for_all_we_know(api: Api) -> None:
    answered = api.call("POST", "/generate/async", headers={"apikey": b"\xff\xfe"}, json={})
    assert (answered.status, answered.rc) == (401, "InvalidAPIKey")


def test_anonymous_runs_no_worker(api: Api) -> None:
    answered = api.pop(key=ANONYMOUS_KEY)
    assert (answered.status, answered.rc) == (403, "AnonForbiddenWorker")


@pytest.mark.parametrize(
    ("fields", "rc"),
    [
        ({"prompt": ""}, "MissingPrompt"),
        ({"prompt": " ### "}, "MissingPrompt"),
        ({"prompt": "word " * 7501}, "InvalidPromptSize"),
        ({"prompt": "a\0b"}, "NulByteInPayload"),
        ({"params": {"width": 500}}, "InvalidSize"),
        ({"params": {"steps": 501}}, "TooManySteps"),
        ({"params": {"sampler_name": "unheard of"}}, "UnsupportedSampler"),
        ({"params": {"cfg_scale": 7.123}}, "BadCFGDecimals"),
        ({"params": {"n": 0}}, "BadRequest"),
        ({"params": {"n": 21}}, "BadRequest"),
        ({"params": {"n": "many"}}, "BadRequest"),
        ({"source_image": "aGk="}, "ImageValidationFailed"),
    ],
)
def test_a_wrong_request_names_its_code_and_fields(
    api: Api, fields: dict[str, Any], rc: str
) -> None:
    body = {"prompt": "a fox", **fields}
    answered = api.call("POST", "/generate/async", key=ANONYMOUS_KEY, json=body)
    assert (answered.status, answered.rc) == (400, rc)


@pytest.mark.parametrize("path", ["/generate/async", "/generate/pop", "/generate/submit"])
@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b"prompt=a+fox"], ids=range(7)
)
def test_broken_json(api: Api, path: str, raw: bytes) -> None:
    answered = api.call("POST", path, key=api.key("owner"), content=raw)
    assert (answered.status, answered.rc) == (400, "BadRequest")


def test_the_type_of_the_content_does_not_matter(api: Api) -> None:
    raw = json.dumps({"prompt": "a fox", "dry_run": True}).encode()
    for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        answered = api.call(
            "POST",
            "/generate/async",
            key=ANONYMOUS_KEY,
            content=raw,
            headers={"content-type": content_type},
        )
        assert answered.status == 200


UNKNOWN = {404: "NotFound", 405: "MethodNotAllowed"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/generate/check", 404),
        ("GET", "/generate/check/", 404),
        ("POST", f"/generate/check/{NOBODYS_ID}", 405),
        ("GET", "/generate/async", 405),
        ("PUT", f"/generate/status/{NOBODYS_ID}", 405),
    ],
)
def test_an_unknown_address(api: Api, method: str, path: str, status: int) -> None:
    answered = api.call(method, path)
    assert (answered.status, answered.rc) == (status, UNKNOWN[status])


@pytest.mark.parametrize("host", ["[::1", "a b", "\\", "@", "x" * 1000, ""])
def test_a_strange_host_breaks_no_address(api: Api, host: str) -> None:
    request_id = api.asked()
    api.deliver(api.popped()["ids"])
    answered = api.call("GET", f"/generate/status/{request_id}", headers={"host": host})
    assert answered.status in {200, 400}


def test_a_browser_may_call_from_any_page(api: Api) -> None:
    origin = {"origin": "https://example.org"}
    answered = api.call("GET", "/status/heartbeat", headers=origin)
    assert answered.headers["access-control-allow-origin"] == "*"
    asked_first = api.http.options(
        "/api/v2/generate/async",
        headers={
            **origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "apikey,client-agent,content-type",
        },
    )
    assert asked_first.status_code == 204


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)


def bodies_like(*models: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies with these models' fields, holding anything, and often something sensible."""
    names = [name for model in models for name in model.model_fields]
    sensible = {"prompt": st.just("a fox"), "name": st.just("w"), "models": st.just(["a model"])}
    likely: st.SearchStrategy[Any] = (
        anything | st.integers(1, 5) | st.just(64) | st.just([]) | st.booleans()
    )
    return st.builds(
        lambda known, more: {**known, **more},
        st.fixed_dictionaries({}, optional=sensible),
        st.dictionaries(st.sampled_from(names), likely, max_size=4),
    )


params = GenerationInputStable.model_fields["params"].annotation
whole_requests = st.builds(
    lambda body, inner: {**body, "params": inner} if isinstance(inner, dict) else body,
    bodies_like(GenerationInputStable),
    bodies_like(params),
)


@pytest.mark.parametrize(
    ("path", "bodies"),
    [
        ("/generate/async", whole_requests),
        ("/generate/pop", bodies_like(PopInputStable)),
        ("/generate/submit", bodies_like(SubmitInputStable)),
    ],
)
def test_no_body_breaks_anything(
    api: Api, path: str, bodies: st.SearchStrategy[dict[str, Any]]
) -> None:
    owner = api.key("owner")

    @given(body=bodies)
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def answers(body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode("utf-8", "surrogatepass")
        answered = api.call("POST", path, key=owner, content=raw)
        assert answered.status in {200, 202} or RETURN_CODES[answered.rc].status == answered.status

    answers()


def test_neither_prompts_nor_keys_are_logged(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        key = api.key("owner")
        api.ask(key, prompt="a very secret prompt")
        api.ask(key, prompt="a very secret prompt", params={"n": "a very secret prompt"})
        api.call("POST", "/generate/async", key=key, content=b'{"prompt": "a very secret prompt"')
        api.pop(blacklist=["a very secret prompt"])
    assert "secret" not in caplog.text
    assert key not in caplog.text


def test_a_body_of_fifty_megabytes_is_refused_over_a_real_connection(tmp_path: Path) -> None:
    with serving(tmp_path) as api, socket.create_server(("127.0.0.1", 0)) as listening:
        app = app_of(api.hoard)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            address = f"http://127.0.0.1:{listening.getsockname()[1]}/api/v2"
            with httpx.Client(headers={"apikey": ANONYMOUS_KEY}, timeout=60) as client:
                body = bytes(50 * 1024 * 1024)
                chunks = iter([body[: 1024 * 1024]] * 50)
                for content in (body, chunks):
                    refused = client.post(f"{address}/generate/async", content=content)
                    assert (refused.status_code, refused.json()["rc"]) == (413, "BadRequest")
                assert client.get(f"{address}/status/heartbeat").status_code == 200
        finally:
            server.should_exit = True
            thread.join()


BODY_LEFT_OUT = {"/api/v2/webhooks/secret/rotate"}
"""Where a body may be left out."""


def test_the_description_is_whole(api: Api) -> None:
    description = api.call("GET", "/openapi.json").body
    text = json.dumps(description)
    schemas = description["components"]["schemas"]
    referred = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert referred <= schemas.keys()
    assert set(schemas["RequestError"]["properties"]["rc"]["enum"]) == RETURN_CODES.keys()
    for path, methods in description["paths"].items():
        for method, route in methods.items():
            statuses = set(route["responses"])
            assert "422" not in statuses, (method, path)
            assert statuses & {"200", "201", "202"}, (method, path)
            if "requestBody" in route:
                assert {"400", "413", "500"} <= statuses, (method, path)
                assert route["requestBody"]["required"] or path in BODY_LEFT_OUT, (method, path)
            if "{request_id}" in path:
                assert "404" in statuses, (method, path)
