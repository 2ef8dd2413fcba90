"""The API as a process: uvicorn on the supervisor's socket, or on one of its own."""

from __future__ import annotations

import os
import socket
import sys
from datetime import timedelta
from importlib import metadata
from types import FrameType

import uvicorn
from fastapi import FastAPI

from api.app import Features, Serving, create_app
from api.http.authentication import Authentication
from api.registration.feature import RegistrationFeature
from api.registration.registrations import Registrations
from api.tracking.hub import Hub
from api.tracking.pace import Pace
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
from infrastructure.keys.api_keys import ANONYMOUS_KEY, digest_of, new_api_key
from infrastructure.processes.programs import LISTEN_VARIABLE
from infrastructure.processes.supervised import start_process, tell_supervisor
from infrastructure.service.unsafe_networks import UnsafeNetworks
from projections.statistics.recent import RecentStatistics

_SECONDS_TO_FINISH = 5
_SWITCH_SECONDS = 0.0005


def features_of(hoard: Hoard, *, pace: Pace | None = None) -> Features:
    """Return what the routes of the API need of an assembled Hoard.

    :param pace: how often those who wait for news are looked after.
    """
    settings = hoard.settings
    authentication = Authentication(
        hoard.directory, digest_of=digest_of, anonymous_key=ANONYMOUS_KEY
    )
    available_workers = AvailableWorkers(hoard.presence, hoard.workers, hoard.directory)
    statistics = RecentStatistics(hoard.statistics, hoard.clock)
    webhook_targets = WebhookTargets(hoard.webhook_posts.rule.require_readable, hoard.webhook_keys)
    return Features(
        intake=IntakeFeature(
            authentication=authentication,
            timeouts=hoard.timeouts,
            modes=hoard.modes,
            unsafe_networks=UnsafeNetworks(settings.networks_called_unsafe),
            keyed_digest=hoard.keyed_digest,
            ledger=hoard.ledger,
            directory=hoard.directory,
            catalogue=hoard.catalogue,
            unknown_models=settings.unknown_models,
            loras=hoard.loras,
            webhook_targets=webhook_targets,
            kudos_upfront=settings.kudos_upfront,
            presence=hoard.presence,
            available_workers=available_workers,
            backlog=hoard.backlog,
            blobs=hoard.blobs,
            fetcher=hoard.outbound,
        ),
        progress=ProgressFeature(
            ledger=hoard.ledger,
            hub=Hub(hoard.log, hoard.wakeups, pace or Pace()),
            status=hoard.status,
            backlog=hoard.backlog,
            available_workers=available_workers,
            blobs=hoard.blobs,
            signer=hoard.signer,
            public_url=settings.public_url,
            image_address_lifetime=timedelta(seconds=settings.image_address_seconds),
        ),
        pop=PopFeature(
            authentication=authentication,
            timeouts=hoard.timeouts,
            ledger=hoard.ledger,
            modes=hoard.modes,
            catalogue=hoard.catalogue,
            unknown_models=settings.unknown_models,
            content_filter=hoard.content_filter,
            presence=hoard.presence,
            available_workers=available_workers,
            workers_per_address=settings.workers_per_address,
            address_digest=hoard.address_digest,
            backlog=hoard.backlog,
            messages=hoard.messages,
            blobs=hoard.blobs,
            signer=hoard.signer,
            public_url=settings.public_url,
        ),
        submission=SubmissionFeature(
            authentication=authentication,
            ledger=hoard.ledger,
            blobs=hoard.blobs,
            uploads=hoard.uploads,
            signer=hoard.signer,
        ),
        accounts=AccountsFeature(
            authentication=authentication,
            ledger=hoard.ledger,
            directory=hoard.directory,
            records=hoard.accounts,
            funds=hoard.kudos,
            allowances=allowances_of(settings),
            content_filter=hoard.content_filter,
            sealer=hoard.keys,
            keyed_digest=hoard.keyed_digest,
            key_digest=digest_of,
            clock=hoard.clock,
            random_source=hoard.random_source,
        ),
        workers=WorkersFeature(
            authentication=authentication,
            ledger=hoard.ledger,
            directory=hoard.directory,
            records=hoard.workers,
            presence=hoard.presence,
            messages=hoard.messages,
            content_filter=hoard.content_filter,
            sealer=hoard.keys,
            clock=hoard.clock,
            random_source=hoard.random_source,
        ),
        webhooks=WebhooksFeature(
            authentication=authentication,
            ledger=hoard.ledger,
            log=hoard.log,
            records=hoard.webhooks,
            deliveries=hoard.deliveries,
            targets=webhook_targets,
            keys=hoard.webhook_keys,
            sealer=hoard.keys,
            clock=hoard.clock,
        ),
        models=ModelsFeature(
            catalogue=hoard.catalogue, records=hoard.models, statistics=statistics
        ),
        service=ServiceFeature(
            authentication=authentication,
            ledger=hoard.ledger,
            modes=hoard.modes,
            news=hoard.news,
            timeouts=hoard.timeouts,
            directory=hoard.directory,
            presence=hoard.presence,
            backlog=hoard.backlog,
            statistics=statistics,
            clock=hoard.clock,
            version=_version(),
        ),
        registration=RegistrationFeature(
            authentication=authentication,
            registrations=Registrations(
                ledger=hoard.ledger,
                directory=hoard.directory,
                timeouts=hoard.timeouts,
                content_filter=hoard.content_filter,
                clock=hoard.clock,
                new_key=new_api_key,
                key_digest=digest_of,
                address_digest=hoard.address_digest,
                most_per_hour=settings.registrations_per_hour,
            ),
        ),
    )


def app_of(hoard: Hoard, *, pace: Pace | None = None) -> FastAPI:
    """Return the application that serves an assembled Hoard.

    :param pace: how often those who wait for news are looked after.
    """
    serving = Serving(
        public_url=hoard.settings.public_url, max_body_bytes=hoard.settings.max_body_bytes
    )
    return create_app(features_of(hoard, pace=pace), serving)


def make_app() -> FastAPI:
    """Return the application, for ``uvicorn --factory`` with this function's name."""
    return app_of(assemble(start_process()))


class _Server(uvicorn.Server):
    """Ends streams, which never finish by themselves, as soon as it is told to stop."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._hub = app.state.hub

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
        http="httptools",
        loop="uvloop",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
    inherited = os.environ.get(LISTEN_VARIABLE)
    sockets = [socket.socket(fileno=int(inherited))] if inherited else None
    tell_supervisor()
    try:
        _Server(config, app).run(sockets=sockets)
    finally:
        hoard.close()


def _version() -> str:
    try:
        return metadata.version("hoard")
    except metadata.PackageNotFoundError:
        return "0"


if __name__ == "__main__":
    main()
