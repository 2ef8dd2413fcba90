"""The API as a process: uvicorn on the supervisor's socket, or on one of its own."""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
from datetime import timedelta
from types import FrameType

import psycopg
import sqlalchemy.exc
import uvicorn
from eventsourcing import persistence
from fastapi import FastAPI

from api.app import Features, Serving, create_app, hub_of
from api.http.authentication import Authentication
from api.registration.registrations import RegistrationFeature, Registrations
from api.tracking.hub import Hub, Timing
from api.v2.accounts.feature import AccountsFeature
from api.v2.models.feature import ModelsFeature
from api.v2.requests.feature import IntakeFeature, ProgressFeature
from api.v2.service.feature import ServiceFeature
from api.v2.webhooks.feature import WebhooksFeature
from api.v2.webhooks.targets import WebhookTargets
from api.v2.work.feature import PopFeature, SubmissionFeature
from api.v2.workers.available_workers import AvailableWorkers
from api.v2.workers.feature import WorkersFeature
from infrastructure.bootstrap import Hoard, allowances_of, assemble
from infrastructure.distribution import installed_version
from infrastructure.keys.api_keys import ANONYMOUS_KEY, digest_of, new_api_key
from infrastructure.processes.child_programs import LISTEN_VARIABLE
from infrastructure.processes.http_protocol import HttpProtocol
from infrastructure.processes.lifecycle import read_command_line, report_ready, start_process
from infrastructure.service.unsafe_networks import UnsafeNetworks
from infrastructure.settings.environment import Settings
from infrastructure.storage.database import GroupFailed
from projections.statistics.recent import RecentStatistics

UNAVAILABLE: tuple[type[Exception], ...] = (
    psycopg.OperationalError,
    sqlite3.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.InternalError,
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.TimeoutError,
    persistence.InterfaceError,
    persistence.InternalError,
    persistence.OperationalError,
    GroupFailed,
    OSError,
)
"""What databases, their drivers and the disk raise while they are locked, full or away."""

_SECONDS_TO_FINISH = 5
_SWITCH_SECONDS = 0.0005


def features_of(hoard: Hoard, *, timing: Timing | None = None) -> Features:
    """Return what the routes of the API need of an assembled Hoard.

    :param timing: how often those who wait for news are looked after.
    """
    settings = hoard.settings
    authentication = Authentication(
        hoard.inline.directory, digest_of=digest_of, anonymous_key=ANONYMOUS_KEY
    )
    available_workers = AvailableWorkers(
        hoard.views.presence, hoard.views.workers, hoard.inline.directory
    )
    statistics = RecentStatistics(hoard.views.statistics, hoard.clock)
    webhook_targets = WebhookTargets(hoard.sending.posts.rule.require_readable, hoard.sending.keys)
    return Features(
        intake=IntakeFeature(
            authentication=authentication,
            timeouts=hoard.moderation.timeouts,
            modes=hoard.inline.modes,
            unsafe_networks=UnsafeNetworks(settings.networks_called_unsafe),
            keyed_digest=hoard.secrets.keyed_digest,
            ledger=hoard.ledger.requests,
            directory=hoard.inline.directory,
            catalogue=hoard.catalogue,
            unknown_models=settings.unknown_models,
            loras=hoard.loras,
            webhook_targets=webhook_targets,
            kudos_upfront=settings.kudos_upfront,
            presence=hoard.views.presence,
            available_workers=available_workers,
            backlog=hoard.views.backlog,
            blobs=hoard.storage.blobs,
            fetcher=hoard.outbound,
            inspects_images=settings.worker_inspector is not None,
        ),
        progress=ProgressFeature(
            ledger=hoard.ledger.requests,
            hub=Hub(hoard.storage.log, hoard.wakeups, timing or Timing()),
            status=hoard.views.status,
            backlog=hoard.views.backlog,
            available_workers=available_workers,
            blobs=hoard.storage.blobs,
            signer=hoard.secrets.signer,
            public_url=settings.public_url,
            image_address_lifetime=timedelta(seconds=settings.image_address_seconds),
        ),
        pop=PopFeature(
            authentication=authentication,
            timeouts=hoard.moderation.timeouts,
            jobs=hoard.ledger.jobs,
            modes=hoard.inline.modes,
            catalogue=hoard.catalogue,
            unknown_models=settings.unknown_models,
            content_filter=hoard.moderation.content_filter,
            presence=hoard.views.presence,
            available_workers=available_workers,
            workers_per_address=settings.workers_per_address,
            address_digest=hoard.secrets.address_digest,
            backlog=hoard.views.backlog,
            messages=hoard.moderation.messages,
            blobs=hoard.storage.blobs,
            signer=hoard.secrets.signer,
            public_url=settings.public_url,
        ),
        submission=SubmissionFeature(
            authentication=authentication,
            jobs=hoard.ledger.jobs,
            blobs=hoard.storage.blobs,
            uploads=hoard.storage.uploads,
            signer=hoard.secrets.signer,
        ),
        accounts=AccountsFeature(
            authentication=authentication,
            ledger=hoard.ledger.accounts,
            kudos=hoard.ledger.kudos,
            shared_keys=hoard.ledger.shared_keys,
            directory=hoard.inline.directory,
            records=hoard.views.accounts,
            funds=hoard.inline.kudos,
            allowances=allowances_of(settings),
            content_filter=hoard.moderation.content_filter,
            sealer=hoard.secrets.personal_keys,
            keyed_digest=hoard.secrets.keyed_digest,
            key_digest=digest_of,
            clock=hoard.clock,
            random_source=hoard.random_source,
        ),
        workers=WorkersFeature(
            authentication=authentication,
            ledger=hoard.ledger.workers,
            directory=hoard.inline.directory,
            records=hoard.views.workers,
            presence=hoard.views.presence,
            messages=hoard.moderation.messages,
            content_filter=hoard.moderation.content_filter,
            sealer=hoard.secrets.personal_keys,
            clock=hoard.clock,
            random_source=hoard.random_source,
        ),
        webhooks=WebhooksFeature(
            authentication=authentication,
            ledger=hoard.ledger.webhooks,
            log=hoard.storage.log,
            records=hoard.views.webhooks,
            deliveries=hoard.inline.deliveries,
            targets=webhook_targets,
            keys=hoard.sending.keys,
            sealer=hoard.secrets.personal_keys,
            clock=hoard.clock,
        ),
        models=ModelsFeature(
            catalogue=hoard.catalogue, records=hoard.views.models, statistics=statistics
        ),
        service=ServiceFeature(
            authentication=authentication,
            service_modes=hoard.ledger.modes,
            modes=hoard.inline.modes,
            news=hoard.moderation.news,
            documents=hoard.moderation.documents,
            timeouts=hoard.moderation.timeouts,
            directory=hoard.inline.directory,
            presence=hoard.views.presence,
            backlog=hoard.views.backlog,
            statistics=statistics,
            clock=hoard.clock,
            version=installed_version() or "0",
        ),
        registration=RegistrationFeature(
            authentication=authentication,
            registrations=Registrations(
                ledger=hoard.ledger.accounts,
                directory=hoard.inline.directory,
                timeouts=hoard.moderation.timeouts,
                content_filter=hoard.moderation.content_filter,
                clock=hoard.clock,
                new_key=new_api_key,
                key_digest=digest_of,
                address_digest=hoard.secrets.address_digest,
                most_per_hour=settings.registrations_per_hour,
            ),
        ),
    )


def app_of(hoard: Hoard, *, timing: Timing | None = None) -> FastAPI:
    """Return the application that serves an assembled Hoard.

    :param timing: how often those who wait for news are looked after.
    """
    return create_app(features_of(hoard, timing=timing), serving_of(hoard.settings))


def serving_of(settings: Settings) -> Serving:
    """Return how the settings have the API serve."""
    return Serving(
        public_url=settings.public_url,
        max_body_bytes=settings.max_body_bytes,
        unavailable=UNAVAILABLE,
    )


def make_app() -> FastAPI:
    """Return the application, for ``uvicorn --factory`` with this function's name."""
    return app_of(assemble(start_process()))


class _Server(uvicorn.Server):
    """Ends streams, which never finish by themselves, as soon as a stop is requested."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._hub = hub_of(app)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._hub.leave()
        super().handle_exit(sig, frame)


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests under way have five seconds to finish.

    Streams and those who wait for news are let go at once, and come back to the next process.
    """
    settings = start_process()
    hoard = assemble(settings)
    # The thread that answers the socket should not wait 5 ms for each that works on a request.
    sys.setswitchinterval(_SWITCH_SECONDS)
    app = app_of(hoard)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=HttpProtocol,
        loop="uvloop",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
    inherited = os.environ.get(LISTEN_VARIABLE)
    sockets = [socket.socket(fileno=int(inherited))] if inherited else None
    report_ready()
    try:
        _Server(config, app).run(sockets=sockets)
    finally:
        hoard.close()


if __name__ == "__main__":
    read_command_line("api", __doc__)
    main()
