"""Every address of the AI Horde v2 API is served here, or says that it is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import cast

import pytest
from fastapi import FastAPI
from starlette.routing import Match

from api.v2.service.left_out import LEFT_OUT
from tests.integration.api_client import Api, serving
from tests.paths import ROOT

V2_ROUTES: dict[str, list[str]] = json.loads(
    (ROOT / "tests" / "samples" / "v2_routes.json").read_text()
)
"""The addresses of the AI Horde's API 2.5 below ``/api/v2``, with their methods."""

LEFT_OUT_ROUTES = [
    (method, path)
    for each in LEFT_OUT
    for path, methods in each.paths.items()
    for method in methods
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One Hoard for all of it."""
    with serving(tmp_path_factory.mktemp("left_out")) as api:
        yield api


@pytest.mark.parametrize(("method", "path"), LEFT_OUT_ROUTES)
def test_what_is_left_out_says_so(api: Api, method: str, path: str) -> None:
    answered = api.call(method, re.sub(r"{\w+}", "1", path))
    assert (answered.status, answered.rc) == (501, "NotServed")


@pytest.mark.parametrize(("method", "path"), LEFT_OUT_ROUTES)
def test_only_addresses_of_the_horde_are_left_out(method: str, path: str) -> None:
    assert method in V2_ROUTES[path]


def test_a_method_that_the_horde_does_not_take_is_no_feature(api: Api) -> None:
    answered = api.call("DELETE", "/teams")
    assert (answered.status, answered.rc) == (405, "MethodNotAllowed")


def test_what_is_left_out_is_not_described(api: Api) -> None:
    described = api.call("GET", "/openapi.json").body["paths"]
    assert not [path for each in LEFT_OUT for path in each.paths if f"/api/v2{path}" in described]


def test_every_other_address_of_the_horde_is_served(api: Api) -> None:
    left_out = set(LEFT_OUT_ROUTES)
    missing = [
        f"{method} {path}"
        for path, methods in V2_ROUTES.items()
        for method in methods
        if (method, path) not in left_out and not is_served(api, method, path)
    ]
    assert missing == []


def is_served(api: Api, method: str, path: str) -> bool:
    """Say whether a route takes this method at this address, and is not one of those left out."""
    scope = {
        "type": "http",
        "method": method,
        "path": "/api/v2" + re.sub(r"{\w+}", "1", path),
        "headers": [],
    }
    routes = cast(FastAPI, api.http.app).routes
    return any(route.matches(scope)[0] is Match.FULL for route in routes)
