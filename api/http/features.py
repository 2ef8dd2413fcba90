"""Features: each declares what its routes need, and they find it by its type."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar, cast

from fastapi import FastAPI
from starlette.requests import Request

Feature = TypeVar("Feature")


def install_features(app: FastAPI, features: Iterable[object]) -> None:
    """Hand an application what its routes need, one object for each feature."""
    app.state.features = {type(feature): feature for feature in features}


def installed(kind: type[Feature]) -> Callable[[Request], Awaitable[Feature]]:
    """Return the dependency that gives a route the feature of this type."""

    # A coroutine that awaits nothing: FastAPI would call a plain function in a thread.
    async def feature(request: Request) -> Feature:
        return cast(Feature, request.app.state.features[kind])

    return feature
