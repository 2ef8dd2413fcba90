"""The API as a process: uvicorn on the supervisor's socket, or on one of its own."""

from __future__ import annotations

import os
import socket
import sys
from datetime import timedelta
from types import FrameType

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.services import Services
from infrastructure.bootstrap import Hoard, allowances_of, assemble
from infrastructure.distribution import installed_version
from infrastructure.keys.api_keys import ANONYMOUS_KEY, digest_of, new_api_key
from infrastructure.processes.child_programs import LISTEN_VARIABLE
from infrastructure.processes.lifecycle import report_ready, start_process
from infrastructure.service.unsafe_networks import UnsafeNetworks
from projections.statistics.recent import RecentStatistics

_SECONDS_TO_FINISH = 5
_SWITCH_SECONDS = 0.0005


def services_of(hoard: Hoard) -> Services:
    """Return what the API needs of an assembled Hoard."""
    settings = hoard.settings
    return Services(
        ledger=hoard.ledger,
        log=hoard.log,
        wakeups=hoard.wakeups,
        directory=hoard.directory,
        status=hoard.status,
        backlog=hoard.backlog,
        workers=hoard.workers,
        accounts=hoard.accounts,
        funds=hoard.kudos,
        content_filter=hoard.content_filter,
        allowances=allowances_of(settings),
        messages=hoard.messages,
        timeouts=hoard.timeouts,
        sealer=hoard.keys,
        clock=hoard.clock,
        random_source=hoard.random_source,
        address_digest=hoard.address_digest,
        new_key=new_api_key,
        registrations_per_hour=settings.registrations_per_hour,
        presence=hoard.presence,
        models=hoard.models,
        made=RecentStatistics(hoard.statistics, hoard.clock),
        deliveries=hoard.deliveries,
        webhooks=hoard.webhooks,
        webhook_keys=hoard.webhook_keys,
        require_webhook_address=hoard.webhook_posts.rule.require_readable,
        modes=hoard.modes,
        catalogue=hoard.catalogue,
        loras=hoard.loras,
        news=hoard.news,
        unknown_models=settings.unknown_models,
        kudos_upfront=settings.kudos_upfront,
        blobs=hoard.blobs,
        uploads=hoard.uploads,
        unsafe_networks=UnsafeNetworks(settings.networks_called_unsafe),
        workers_per_address=settings.workers_per_address,
        signer=hoard.signer,
        keyed_digest=hoard.keyed_digest,
        fetcher=hoard.outbound,
        digest_of=digest_of,
        anonymous_key=ANONYMOUS_KEY,
        public_url=settings.public_url,
        image_address_lifetime=timedelta(seconds=settings.image_address_seconds),
        max_body_bytes=settings.max_body_bytes,
        version=installed_version() or "0",
    )


def make_app() -> FastAPI:
    """Return the application, for ``uvicorn --factory`` with this function's name."""
    return create_app(services_of(assemble(start_process())))


class _Server(uvicorn.Server):
    """Ends streams, which never finish by themselves, as soon as it is told to stop."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._hub = app.state.hoard.hub

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
    app = create_app(services_of(hoard))
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
    report_ready()
    try:
        _Server(config, app).run(sockets=sockets)
    finally:
        hoard.close()


if __name__ == "__main__":
    main()
