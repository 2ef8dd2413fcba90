"""The sender of webhooks: a Celery worker whose only task wakes a dispatcher. One, or several.

``python -m infrastructure.processes.webhooks`` runs one. While its broker is down it sends all
the same: the dispatcher looks by itself.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from celery import Celery, signals

from infrastructure.bootstrap import Hoard, assemble
from infrastructure.processes.supervised import start_process, tell_supervisor
from infrastructure.webhooks.signing import WebhookSigner
from projections.tracking.history import RequestHistory
from workers.broker.app import WEBHOOK_QUEUE, make_app, register_deliver
from workers.broker.tracing import where
from workers.webhooks.dispatcher import CLAIM_MARGIN, PLACES, Dispatcher
from workers.webhooks.payload import Payloads
from workers.webhooks.sender import WebhookSender
from workers.webhooks.sweeper import sweep_deliveries

_log = structlog.get_logger(__name__)

_SECONDS_TO_FINISH = 5.0


def sender_of(hoard: Hoard) -> WebhookSender:
    """Return what sends the deliveries of an assembled Hoard."""
    settings, keys = hoard.settings, hoard.sending.keys

    def signed(account_id: UUID, delivery_id: UUID, at: datetime, body: bytes) -> dict[str, str]:
        numbers = hoard.ledger.webhooks.secret_numbers(account_id)
        secrets = [keys.secret(account_id, number) for number in numbers]
        signer = WebhookSigner([*secrets, keys.signing_key(account_id)])
        return signer.headers(str(delivery_id), at, body)

    return WebhookSender(
        ledger=hoard.ledger.webhooks,
        history_of=lambda request_id: RequestHistory.read(hoard.storage.log, request_id),
        healths=hoard.inline.deliveries,
        sealer=hoard.secrets.personal_keys,
        payloads=Payloads(
            hoard.storage.blobs,
            hoard.secrets.signer,
            root=settings.base_url,
            lifetime=timedelta(seconds=settings.image_address_seconds),
        ),
        signed=signed,
        posts=hoard.sending.posts,
        clock=hoard.clock,
        seconds=settings.webhook_seconds,
    )


def dispatcher_of(hoard: Hoard, places: int = PLACES) -> Dispatcher:
    """Return what claims and sends the deliveries of an assembled Hoard; not started yet."""
    return Dispatcher(
        hoard.sending.claims,
        hoard.inline.deliveries,
        sender_of(hoard).send,
        hoard.clock,
        claim_lifetime=timedelta(seconds=hoard.settings.webhook_seconds) + CLAIM_MARGIN,
        places=places,
    )


def sweep_until(stop: threading.Event, hoard: Hoard) -> None:
    """Give up what is late, at once and then every so many seconds, whatever happens to a round."""
    while not stop.is_set():
        try:
            now = hoard.clock.now()
            if given_up := sweep_deliveries(
                hoard.inline.deliveries, hoard.sending.claims, hoard.ledger.webhooks, now
            ):
                _log.info("late deliveries given up", deliveries=given_up)
        except Exception as error:
            _log.error("sweep failed", error=type(error).__name__, where=where(error))
        stop.wait(hoard.settings.sweep_seconds)


def main() -> None:
    """Run until SIGTERM or SIGINT; what is being sent has five seconds to arrive."""
    settings = start_process()
    hoard = assemble(settings)
    dispatcher = dispatcher_of(hoard)
    stop = threading.Event()
    sweeper = threading.Thread(target=sweep_until, args=(stop, hoard), name="sweep", daemon=True)
    app = make_app(settings.broker)
    register_deliver(app, dispatcher.wake)
    hoard.sending.posts.prepare()
    dispatcher.start()
    sweeper.start()
    tell_supervisor()
    try:
        hear_wakeups(app)
    finally:
        _log.info("sender stops")
        stop.set()
        if not dispatcher.stop(_SECONDS_TO_FINISH):
            _log.info("deliveries cut off; they are sent again")
        sweeper.join(_SECONDS_TO_FINISH)
        hoard.close()


def hear_wakeups(app: Celery) -> None:
    """Hear bells until a signal comes."""
    app.worker_main(
        [
            *("--quiet", "worker"),
            # Its task takes no time, so it needs no process and no thread.
            *("--pool", "solo"),
            *("--hostname", f"webhooks-{os.getpid()}@{socket.gethostname()}"),
            *("--queues", WEBHOOK_QUEUE),
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
    )


@signals.setup_logging.connect(weak=False)  # type: ignore[untyped-decorator]
def _keep_logs(**_facts: object) -> None:
    # They are set up already; and a line for each bell says nothing.
    for chatty in ("celery.app.trace", "celery.worker.strategy"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
