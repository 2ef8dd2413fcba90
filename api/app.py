"""The HTTP application: the v2 API on the features that the composition root builds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields

import anyio.to_thread
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from api.http.body_limit import BodyLimit
from api.http.edge import Edge
from api.http.errors import install_error_answers
from api.http.features import install_features, installed_feature
from api.http.field_masks import FieldMasks
from api.http.openapi import describe
from api.pages import front_door
from api.pages import return_codes as return_codes_page
from api.registration import page as registration_page
from api.registration import routes as registration
from api.registration.registrations import RegistrationFeature
from api.tracking.hub import Hub
from api.v2.accounts import kudos, shared_keys
from api.v2.accounts import routes as accounts
from api.v2.accounts.feature import AccountsFeature
from api.v2.models import routes as models
from api.v2.models import statistics
from api.v2.models.feature import ModelsFeature
from api.v2.requests import events, images, status, submit
from api.v2.requests.feature import IntakeFeature, ProgressFeature
from api.v2.service import document_routes, left_out, return_codes, timeout_routes
from api.v2.service import routes as service
from api.v2.service.feature import ServiceFeature
from api.v2.webhooks import deliveries, endpoints, secrets
from api.v2.webhooks.feature import WebhooksFeature
from api.v2.work import routes as work
from api.v2.work import uploads
from api.v2.work.feature import PopFeature, SubmissionFeature
from api.v2.workers import message_routes
from api.v2.workers import routes as workers
from api.v2.workers.feature import WorkersFeature

BASE_PATH = "/api/v2"
NATIVE_PATH = "/api/native"

_V2 = (
    submit,
    status,
    events,
    images,
    work,
    uploads,
    accounts,
    # Before the workers by id: their paths look alike.
    message_routes,
    workers,
    kudos,
    shared_keys,
    endpoints,
    deliveries,
    secrets,
    timeout_routes,
    document_routes,
    service,
    models,
    statistics,
    return_codes,
    left_out,
)
"""The routes of the v2 API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What the routes need, by feature."""

    intake: IntakeFeature
    progress: ProgressFeature
    pop: PopFeature
    submission: SubmissionFeature
    accounts: AccountsFeature
    workers: WorkersFeature
    webhooks: WebhooksFeature
    models: ModelsFeature
    service: ServiceFeature
    registration: RegistrationFeature

    def each(self) -> Iterator[object]:
        """Iterate over them all."""
        return (getattr(self, each.name) for each in fields(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How the application serves, whatever its routes do."""

    public_url: str | None = None
    """What clients reach it at; None: whatever they used."""
    max_body_bytes: int = 28 * 1024 * 1024
    """The largest request body, in bytes."""
    threads: int = 16
    """Requests that are worked on at a time; more wait their turn."""
    unavailable: tuple[type[Exception], ...] = ()
    """What a part that Hoard needs raises while it cannot be used."""


class _Application(FastAPI):
    def build_middleware_stack(self) -> ASGIApp:
        """Put the edge around all layers; what is added as a middleware lies within the answer to
        unexpected errors."""
        return Edge(FieldMasks(super().build_middleware_stack()), self.router)


def create_app(features: Features, serving: Serving) -> FastAPI:
    """Return the application.

    Its handlers are plain functions that may block: they run in ``serving.threads`` threads. Those
    that wait for news of a request are coroutines, and hold no thread while they wait.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = serving.threads
        async with hub_of(app).running():
            yield

    app = _Application(
        title="Hoard",
        version=features.service.version,
        openapi_url=f"{BASE_PATH}/openapi.json",
        # Their pages load scripts from a third party's server.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        # It would hand prompts and keys to whatever listens.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        middleware=[Middleware(BodyLimit, max_body_bytes=serving.max_body_bytes)],
    )
    install_features(app, features.each())
    install_error_answers(app, public_url=serving.public_url or "", unavailable=serving.unavailable)
    for part in _V2:
        app.include_router(part.router, prefix=BASE_PATH)
    app.include_router(registration.router, prefix=NATIVE_PATH)
    for page in (front_door, return_codes_page, registration_page):
        app.include_router(page.router)
    describe(app)
    return app


def hub_of(app: FastAPI) -> Hub:
    """Return what tells those who wait on an application that something has happened."""
    return installed_feature(app, ProgressFeature).hub
