"""The HTTP application: the v2 API on the services that the composition root gives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from api.context import Context
from api.http.body_limit import BodyLimit
from api.http.errors import install_error_answers
from api.http.openapi import describe
from api.pages import return_codes as return_codes_page
from api.registration import page as registration
from api.registration import routes as native_accounts
from api.services import Services
from api.v2.accounts import kudos, shared_keys
from api.v2.accounts import routes as users
from api.v2.models import routes as models
from api.v2.models import statistics
from api.v2.requests import events, images, status, submit
from api.v2.service import left_out, return_codes
from api.v2.service import routes as horde
from api.v2.service import timeouts as operations
from api.v2.webhooks import deliveries as webhook_deliveries
from api.v2.webhooks import endpoints as webhook_endpoints
from api.v2.webhooks import secrets as webhook_secrets
from api.v2.work import routes as work
from api.v2.work import uploads
from api.v2.workers import messages
from api.v2.workers import routes as workers

BASE_PATH = "/api/v2"
NATIVE_PATH = "/api/native"


def create_app(services: Services) -> FastAPI:
    """Return the application.

    Its handlers are plain functions that may block: they run in ``services.threads`` threads. Those
    that wait for news of a request are coroutines, and hold no thread while they wait.
    """
    hoard = Context.of(services)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = services.threads
        async with hoard.hub.running():
            yield

    app = FastAPI(
        title="Hoard",
        version=services.version,
        openapi_url=f"{BASE_PATH}/openapi.json",
        # Their pages load scripts from somebody else's server.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        # It would hand prompts and keys to whatever listens.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        middleware=[
            # Any web page may be a front-end: no cookie gives a browser rights that it must guard.
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=["ETag"],
            ),
            Middleware(BodyLimit, max_body_bytes=services.max_body_bytes),
        ],
    )
    app.state.hoard = hoard
    install_error_answers(app, public_url=services.public_url or "")
    for part in (
        submit,
        status,
        events,
        images,
        work,
        uploads,
        users,
        # Before the workers by id: their paths look alike.
        messages,
        workers,
        kudos,
        shared_keys,
        webhook_endpoints,
        webhook_deliveries,
        webhook_secrets,
        operations,
        horde,
        models,
        statistics,
        return_codes,
        left_out,
    ):
        app.include_router(part.router, prefix=BASE_PATH)
    app.include_router(native_accounts.router, prefix=NATIVE_PATH)
    for shown in (return_codes_page, registration):
        app.include_router(shown.router)
    describe(app)
    return app
