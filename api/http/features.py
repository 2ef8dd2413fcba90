"""Features: each declares what its routes need, and they find it by its type."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar, cast

from fastapi import FastAPI
from starlette.requests import Request

Feature = TypeVar("Feature")


def install_features(app: FastAPI, features: Iterable[object]) -> None:
    """Hand an application what its routes need, one object for each feature.

    It may be called again before the application is started, for other objects in their place.
    """
    app.state.features = {type(feature): feature for feature in features}


def installed_feature(app: FastAPI, kind: type[Feature]) -> Feature:
    """Return the feature of this type that an application was handed."""
    return cast(Feature, app.state.features[kind])


def installed(kind: type[Feature]) -> Callable[[Request], Awaitable[Feature]]:
    """Return the dependency that gives a route the feature of this type."""

    # A coroutine that awaits nothing: FastAPI would call a plain function in a thread.
    async def feature(request: Request) -> Feature:
        return installed_feature(request.app, kind)

    return feature
