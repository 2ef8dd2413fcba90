"""Which requests of horde-sdk the tests drive: each test says it of itself, and is held to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from horde_sdk.ai_horde_api.apimodels.base import BaseAIHordeRequest

Test = TypeVar("Test", bound=Callable[..., Any])

DRIVEN: dict[type[BaseAIHordeRequest], list[str]] = {}
"""For each request of the SDK the tests that drive it."""

_OF_TEST = "_driven_requests"


def drives(*requests: type[BaseAIHordeRequest]) -> Callable[[Test], Test]:
    """Say which requests of the SDK a test sends."""

    def mark(test: Test) -> Test:
        for request in requests:
            DRIVEN.setdefault(request, []).append(test.__name__)
        setattr(test, _OF_TEST, requests)
        return test

    return mark


def not_sent(test: Callable[..., Any], calls: Sequence[tuple[str, str]]) -> list[str]:
    """Return the requests that a test says it sends and that did not arrive at the server."""
    return [
        request.__name__
        for request in getattr(test, _OF_TEST, ())
        if not any(_is(request, method, path) for method, path in calls)
    ]


def _is(request: type[BaseAIHordeRequest], method: str, path: str) -> bool:
    template = re.escape("/api" + str(request.get_api_endpoint_subpath()))
    pattern = re.sub(r"\\{\w+\\}", "[^/]+", template)
    return method == request.get_http_method() and re.fullmatch(pattern, path) is not None
