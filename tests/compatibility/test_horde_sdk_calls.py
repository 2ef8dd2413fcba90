"""Every request for images that horde-sdk knows is driven by a test, and the page says so."""

from __future__ import annotations

from importlib import import_module

import horde_sdk.ai_horde_api.apimodels
from horde_sdk.ai_horde_api.apimodels.base import BaseAIHordeRequest
from horde_sdk.generic_api._reflection import get_all_request_types

from api.v2.service.left_out import LEFT_OUT
from tests.compatibility.driven import DRIVEN
from tests.paths import ROOT

for _module in ("requests", "worker", "accounts"):
    import_module(f"tests.compatibility.test_horde_sdk_{_module}")

PAGE = (ROOT / "docs" / "reference" / "compatibility.md").read_text()

LEFT_OUT_PATHS = {f"/v2{path}" for feature in LEFT_OUT for path in feature.paths}

REQUESTS = [
    request
    for request in get_all_request_types(horde_sdk.ai_horde_api.apimodels.__name__)
    if issubclass(request, BaseAIHordeRequest)
]


def test_every_request_is_driven_or_left_out() -> None:
    neither = [
        request.__name__
        for request in REQUESTS
        if request not in DRIVEN and str(request.get_api_endpoint_subpath()) not in LEFT_OUT_PATHS
    ]
    assert neither == []


def test_the_page_lists_what_is_driven() -> None:
    assert [each.__name__ for each in DRIVEN if f"`{each.__name__}`" not in PAGE] == []
