"""The HTTP application: the v2 API on the services that the composition root gives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from api.body_limit import BodyLimit
from api.context import Context
from api.errors import install_error_answers
from api.native import accounts as native_accounts
from api.native.schemas import RegisterInput
from api.openapi import describe
from api.pages import registration
from api.pages import return_codes as return_codes_page
from api.services import Services
from api.v2 import (
    events,
    generate,
    horde,
    images,
    kudos,
    left_out,
    messages,
    models,
    operations,
    return_codes,
    shared_keys,
    statistics,
    uploads,
    users,
    work,
    workers,
)
from api.v2.schemas.accounts import ModifyUserInput
from api.v2.schemas.asking import GenerationInputStable
from api.v2.schemas.horde import ModifyHordeModes
from api.v2.schemas.kudos import KudosAwardInput, KudosTransferInput
from api.v2.schemas.replicating import ReplicationInput
from api.v2.schemas.shared_keys import SharedKeyInput
from api.v2.schemas.webhooks import EndpointChange, EndpointInput, ResendInput, RotationInput
from api.v2.schemas.workers import (
    AddTimeoutIPInput,
    AddWorkerTimeout,
    DeleteTimeoutIPInput,
    MessageInput,
    ModifyWorkerInput,
)
from api.v2.schemas.working import PopInputStable, SubmitInputStable
from api.v2.webhooks import deliveries as webhook_deliveries
from api.v2.webhooks import endpoints as webhook_endpoints
from api.v2.webhooks import secrets as webhook_secrets

BASE_PATH = "/api/v2"
NATIVE_PATH = "/api/native"

_BODIES = (
    GenerationInputStable,
    ReplicationInput,
    PopInputStable,
    SubmitInputStable,
    ModifyHordeModes,
    ModifyUserInput,
    ModifyWorkerInput,
    MessageInput,
    KudosTransferInput,
    KudosAwardInput,
    SharedKeyInput,
    EndpointInput,
    EndpointChange,
    ResendInput,
    RotationInput,
    AddTimeoutIPInput,
    DeleteTimeoutIPInput,
    AddWorkerTimeout,
    RegisterInput,
)
"""Bodies that routes read by themselves."""


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
        generate,
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
    describe(app, _BODIES)
    return app
