"""The description as Swagger 2.0: complete, consistent, and what programs of the AI Horde read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.swagger import swagger_from
from tests.integration.api_client import Api, serving
from tests.paths import ROOT

METHODS = {"get", "put", "post", "delete", "patch"}
TYPES = {"string", "number", "integer", "boolean", "array", "object"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with serving(tmp_path_factory.mktemp("swagger")) as api:
        yield api


@pytest.fixture(scope="module")
def swagger(served: Api) -> Any:
    answered = served.http.get("/api/swagger.json")
    assert answered.status_code == 200
    return answered.json()


def everything(part: Any) -> Iterator[dict[str, Any]]:
    """Iterate over all objects of a document."""
    if isinstance(part, dict):
        yield part
        for each in part.values():
            yield from everything(each)
    elif isinstance(part, list):
        for each in part:
            yield from everything(each)


def test_it_is_where_programs_look_for_it(served: Api, swagger: Any) -> None:
    assert served.http.get("/api/v2/swagger.json").json() == swagger
    assert (swagger["swagger"], swagger["basePath"]) == ("2.0", "/api")


def test_every_address_of_the_openapi_document_is_in_it(served: Api, swagger: Any) -> None:
    openapi = served.http.get("/api/v2/openapi.json").json()
    described = {
        (path, method)
        for path, methods in openapi["paths"].items()
        for method in methods
        if path.startswith("/api/")
    }
    assert described == {
        (f"/api{path}", method) for path, methods in swagger["paths"].items() for method in methods
    }
    assert openapi["components"]["schemas"].keys() == swagger["definitions"].keys()


def test_nothing_in_it_is_of_openapi_3(swagger: Any) -> None:
    text = json.dumps(swagger)
    assert "components" not in text
    for part in everything([swagger["paths"], swagger["definitions"]]):
        assert not part.keys() & {"anyOf", "oneOf", "const", "requestBody", "prefixItems"}
        assert (
            part.get("type") is None or not isinstance(part["type"], str) or (part["type"] in TYPES)
        )
        if isinstance(part.get("$ref"), str):
            assert part["$ref"].removeprefix("#/definitions/") in swagger["definitions"]


def test_operations_have_what_swagger_demands(swagger: Any) -> None:
    names = set()
    for path, methods in swagger["paths"].items():
        assert methods.keys() <= METHODS
        for operation in methods.values():
            assert operation["operationId"] not in names
            names.add(operation["operationId"])
            assert operation["responses"]
            assert all(answer["description"] for answer in operation["responses"].values())
            places = [each["in"] for each in operation["parameters"]]
            assert places.count("body") <= 1
            for each in operation["parameters"]:
                assert "schema" in each if each["in"] == "body" else each["type"] in TYPES
            in_path = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", path))


@pytest.mark.parametrize(
    "name",
    [
        "GenerationInputStable",
        "GenerationPayloadStable",
        "GenerationSubmitted",
        "ModelGenerationInputStable",
        "PopInputStable",
        "RequestAsync",
        "RequestStatusCheck",
        "RequestStatusStable",
        "SubmitInputStable",
        "UserDetails",
        "WorkerDetails",
    ],
)
def test_the_models_that_programs_read_are_there_under_their_names(swagger: Any, name: str) -> None:
    assert swagger["definitions"][name]["type"] == "object"


def test_a_worker_reads_what_it_is_given(swagger: Any) -> None:
    job = swagger["definitions"]["GenerationPayloadStable"]["properties"]
    payload = swagger["definitions"][job["payload"]["$ref"].rpartition("/")[2]]["properties"]
    assert payload["width"]["type"] == "integer"
    sampler = swagger["definitions"]["ModelGenerationInputStable"]["properties"]["sampler_name"]
    assert {"k_euler_a", "lcm"} <= set(sampler["enum"])


simple = st.sampled_from([{"type": "string"}, {"type": "null"}, {"$ref": "#/components/schemas/A"}])
schemas = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(lambda each: {"anyOf": each}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda each: {"type": "array", "items": each}, inner),
        st.builds(
            lambda each: {"type": "object", "properties": each, "additionalProperties": False},
            st.dictionaries(st.sampled_from(["anyOf", "const", "type", "x"]), inner, max_size=3),
        ),
        st.just({"const": 5, "exclusiveMinimum": 3}),
        st.just(True),
    ),
    max_leaves=8,
)


@given(schemas)
def test_any_schema_becomes_one_of_swagger_2(schema: Any) -> None:
    made = swagger_from({"info": {}, "paths": {}, "components": {"schemas": {"A": schema}}})
    assert "#/components" not in json.dumps(made)


def test_the_documentation_names_it() -> None:
    assert "/api/swagger.json" in (ROOT / "docs" / "reference" / "compatibility.md").read_text()


def test_a_browser_finds_it_from_the_front_door(tmp_path: Path) -> None:
    with serving(tmp_path) as api:
        assert "/api/swagger.json" in api.http.get("/api/").json()["links"].values()
