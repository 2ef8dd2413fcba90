"""The AI Horde v2 interface for images, name by name: what is served, and what is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.app import BASE_PATH
from tests.integration.api_client import serving
from tests.integration.service.openapi_fields import Described
from tests.paths import ROOT

INTERFACE: dict[str, Any] = json.loads(
    (ROOT / "tests" / "samples" / "v2-interface-images.json").read_text()
)
OPERATIONS: dict[str, dict[str, Any]] = INTERFACE["operations"]
"""What the AI Horde's API takes and answers, by method and path; tests/integration/
test_left_out_routes.py looks after those that are left out."""

PAGE = (ROOT / "docs" / "reference" / "compatibility.md").read_text()


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Described]:
    """The description of the API that is served."""
    with serving(tmp_path_factory.mktemp("described")) as api:
        yield Described(api.call("GET", "/openapi.json").body)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_described(described: Described, name: str) -> None:
    assert found(described, name)


@pytest.mark.parametrize("name", [name for name, each in OPERATIONS.items() if "body" in each])
def test_every_field_of_a_body_is_described(described: Described, name: str) -> None:
    missing = set(INTERFACE["shapes"][OPERATIONS[name]["body"]]) - described.body(
        found(described, name)
    )
    assert sorted(missing) == []


@pytest.mark.parametrize("name", [name for name, each in OPERATIONS.items() if "answer" in each])
def test_every_field_of_an_answer_is_described(described: Described, name: str) -> None:
    answer = OPERATIONS[name]["answer"]
    fields = set(INTERFACE["shapes"][answer.removesuffix("[]")])
    if answer.endswith("[]"):
        fields = {f"[].{field}" for field in fields}
    # The AI Horde describes the list of users as one user.
    has = {field.removeprefix("[].") for field in described.answer(found(described, name))}
    missing = {field.removeprefix("[].") for field in fields} - has
    assert sorted(missing) == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_parameter_is_described(described: Described, name: str) -> None:
    operation = found(described, name)
    parameters = {each["name"].lower() for each in operation.get("parameters", [])}
    if operation.get("security"):
        parameters.add("apikey")
    wanted = {*OPERATIONS[name].get("query", ()), *OPERATIONS[name].get("headers", ())}
    assert sorted(each for each in wanted if each.lower() not in parameters) == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_page_lists_every_operation(name: str) -> None:
    assert f"`{name}`" in PAGE


def found(described: Described, name: str) -> dict[str, Any]:
    """Return an operation, by method and path, as it is described."""
    method, _, path = name.partition(" ")
    operation = described.operation(method, BASE_PATH + path)
    assert operation is not None, f"{name} is not served"
    return operation
