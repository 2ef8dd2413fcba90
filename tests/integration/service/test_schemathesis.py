"""The API as it describes itself, called in thousands of generated ways: it never breaks.

schemathesis draws them from the description, some valid and some not, always the same ones. Half of
them name things that exist, and callers of all kinds send them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import hypothesis.core
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.transport import Response
from schemathesis.python.asgi import get_client
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import BASE_PATH, hub_of
from domain.return_codes import RETURN_CODES
from infrastructure.processes.api import app_of
from tests.integration.api_client import Api, serving
from tests.integration.service.fuzzed_world import Known, World
from tests.waiting import wait_until

CASES = 30
"""Valid ones for each operation, and as many that are not."""

LEAST_CASES = 2000

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One Hoard for all operations."""
    with serving(tmp_path_factory.mktemp("fuzzed")) as api:
        yield api


@pytest.fixture(scope="module")
def world(api: Api) -> World:
    """What there is in it."""
    return World(api)


@pytest.fixture
def printer() -> Iterator[None]:
    """Give hypothesis back how it prints examples: schemathesis takes it from all other tests."""
    with pytest.MonkeyPatch.context() as patch:
        # Setting it to what it is has it set back to that at the end.
        name = "RepresentationPrinter"
        patch.setattr(hypothesis.core, name, getattr(hypothesis.core, name))
        yield


@dataclass
class Calls:
    """The calls that were made, counted."""

    made: int = 0


@pytest.mark.usefixtures("printer")
def test_no_generated_call_breaks_anything(
    api: Api, world: World, subtests: pytest.Subtests
) -> None:
    calls = Calls()
    # The client starts it in an event loop of its own.
    app: Any = app_of(api.hoard)
    hub = hub_of(app)
    schema = schemathesis.openapi.from_asgi(f"{BASE_PATH}/openapi.json", app)
    with get_client(app) as client:
        # Nobody is kept waiting for what never happens here: a stream tells what is there and ends.
        hub.leave()
        wait_until(lambda: hub.is_leaving, "streams to end at once")
        found: Any
        for found in schema.get_all_operations():
            operation = found.ok()
            with subtests.test(operation.label):
                known = world.renewed()
                _call_in_many_ways(operation, GenerationMode.POSITIVE, known, client, calls)
                # Where there are no parameters, nothing can be wrong with them.
                with suppress(Unsatisfiable):
                    _call_in_many_ways(operation, GenerationMode.NEGATIVE, known, client, calls)
    assert calls.made >= LEAST_CASES


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
BRANCHES = LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(st.text(), LEAVES, max_size=3)
TREES = st.lists(BRANCHES, max_size=4) | st.dictionaries(st.text(), BRANCHES, max_size=4)
JSON_OR_NOT = st.one_of(
    st.binary(max_size=200),
    # Not st.recursive: in a process where schemathesis has run, hypothesis takes it for endless.
    (BRANCHES | TREES).map(lambda value: json.dumps(value).encode()),
)


def test_no_body_breaks_anything(api: Api, world: World, subtests: pytest.Subtests) -> None:
    """Bodies that the description says nothing of: any bytes, and JSON of any shape."""
    known = world.renewed()
    for path, methods in api.call("GET", "/openapi.json").body["paths"].items():
        for method in [name for name, each in methods.items() if "requestBody" in each]:
            with subtests.test(f"{method} {path}"):
                _send_any_body(api, method, re.sub("{.*?}", "1", path), known)


def _send_any_body(api: Api, method: str, path: str, known: Known) -> None:
    @seed(1)
    @settings(max_examples=CASES, database=None, deadline=None, phases=[Phase.generate])
    @given(body=JSON_OR_NOT, key=st.sampled_from(known.keys))
    def send(body: bytes, key: str | None) -> None:
        headers = {} if key is None else {"apikey": key}
        answer = api.http.request(method, path, content=body, headers=headers)
        assert answer.status_code < 500
        assert answer.status_code < 400 or answer.json()["rc"] in RETURN_CODES

    send()


def _call_in_many_ways(
    operation: Any, mode: GenerationMode, known: Known, client: Any, calls: Calls
) -> None:
    @seed(1)
    @settings(
        max_examples=CASES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
    def call(case: Any, data: st.DataObject) -> None:
        calls.made += 1
        _start_from_what_works(case, known, data)
        _name_what_exists(case, known, data)
        key = data.draw(st.sampled_from(known.keys), "key")
        case.call_and_validate(
            session=client,
            headers={} if key is None else {"apikey": key},
            checks=CHECKS,
            additional_checks=[breaks_nothing, says_what_is_wrong],
        )

    call()


def _start_from_what_works(case: Any, known: Known, data: st.DataObject) -> None:
    """Let half of the bodies be one that works, but for two generated fields at most."""
    works = known.bodies.get(f"{case.method} {case.path.removeprefix(BASE_PATH)}")
    if works is not None and isinstance(case.body, dict) and data.draw(st.booleans(), "works"):
        changed = data.draw(st.lists(st.sampled_from([*case.body, ""]), max_size=2), "changed")
        case.body = works | {name: case.body[name] for name in changed if name in case.body}


def _name_what_exists(case: Any, known: Known, data: st.DataObject) -> None:
    """Let half of the calls name things that are there, where they name things at all."""
    body = case.body if isinstance(case.body, dict) else {}
    for part in (case.path_parameters, case.query, body):
        for name in sorted(part or ()):
            values = known.values_of(name)
            if values and bool(data.draw(st.booleans(), name)):
                value = data.draw(st.sampled_from(values), name)
                part[name] = [value] if isinstance(part[name], list) else value


def breaks_nothing(_context: Any, response: Response, _case: Any) -> None:
    """Let no call be answered with a server's error but the one for what is left out."""
    assert response.status_code < 500 or response.status_code == 501


def says_what_is_wrong(_context: Any, response: Response, _case: Any) -> None:
    """Hold every error body to what clients are promised: a code of the catalogue, a message."""
    if response.status_code < 400:
        return
    body = response.json()
    assert set(body) <= {"message", "rc", "errors"}, body
    assert body["message"]
    code = RETURN_CODES[body["rc"]]
    assert code.may_be_raised
    assert response.status_code == code.status
