"""The sender of webhooks: a Celery worker whose only task wakes a dispatcher. One, or several.

``python -m infrastructure.processes webhooks`` runs one. While its broker is down it sends all
the same: the dispatcher looks by itself.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Sequence
from datetime import timedelta

import structlog
from celery import Celery, signals

from infrastructure.bootstrap import Hoard, assemble
from infrastructure.processes.lifecycle import read_command_line, report_ready, start_process
from infrastructure.webhooks.keys import AccountSigner
from projections.tracking.history import RequestHistory
from workers.broker.app import WEBHOOK_QUEUE, make_app, register_sending
from workers.chores.runner import Chore, ChoreRunner
from workers.webhooks.dispatcher import CLAIM_MARGIN, SLOTS, Dispatcher
from workers.webhooks.payload import Payloads
from workers.webhooks.sender import WebhookSender
from workers.webhooks.sweeper import sweep_deliveries

_log = structlog.get_logger(__name__)

_SECONDS_TO_FINISH = 5.0


def sender_of(hoard: Hoard) -> WebhookSender:
    """Return what sends the deliveries of an assembled Hoard."""
    settings = hoard.settings
    return WebhookSender(
        ledger=hoard.ledger.webhooks,
        history_of=lambda request_id: RequestHistory.read(hoard.storage.log, request_id),
        destinations=hoard.inline.deliveries,
        sealer=hoard.secrets.personal_keys,
        payloads=Payloads(
            hoard.storage.blobs,
            hoard.secrets.signer,
            root=settings.base_url,
            lifetime=timedelta(seconds=settings.image_address_seconds),
        ),
        signer=AccountSigner(hoard.sending.keys, hoard.ledger.webhooks.secret_numbers),
        posts=hoard.sending.posts,
        clock=hoard.clock,
        seconds=settings.webhook_seconds,
    )


def dispatcher_of(hoard: Hoard, slots: int = SLOTS) -> Dispatcher:
    """Return what claims and sends the deliveries of an assembled Hoard; not started yet."""
    return Dispatcher(
        hoard.sending.claims,
        hoard.inline.deliveries,
        sender_of(hoard).send,
        hoard.clock,
        claim_lifetime=timedelta(seconds=hoard.settings.webhook_seconds) + CLAIM_MARGIN,
        slots=slots,
    )


def chores_of(hoard: Hoard) -> Sequence[Chore]:
    """Return what time alone brings about here: deliveries whose time is over are abandoned."""

    def sweep() -> None:
        now = hoard.clock.now()
        if abandoned := sweep_deliveries(
            hoard.inline.deliveries, hoard.sending.claims, hoard.ledger.webhooks, now
        ):
            _log.info("late deliveries abandoned", deliveries=abandoned)

    return (Chore("sweep deliveries", sweep, hoard.settings.sweep_seconds),)


def main() -> None:
    """Run until SIGTERM or SIGINT; what is being sent has five seconds to arrive."""
    settings = start_process()
    hoard = assemble(settings)
    dispatcher = dispatcher_of(hoard)
    stop = threading.Event()
    chores = ChoreRunner(chores_of(hoard))
    doing = threading.Thread(target=chores.run_until, args=(stop,), name="chores", daemon=True)
    app = make_app(settings.broker)
    register_sending(app, dispatcher.wake)
    hoard.sending.posts.prepare()
    dispatcher.start()
    doing.start()
    report_ready()
    try:
        hear_wakeups(app)
    finally:
        _log.info("sender stops")
        stop.set()
        if not dispatcher.stop(_SECONDS_TO_FINISH):
            _log.info("deliveries cut off; they are sent again")
        doing.join(_SECONDS_TO_FINISH)
        hoard.close()


def hear_wakeups(app: Celery) -> None:
    """Receive wake-ups until a signal comes."""
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
    # They are set up already; and a line for each wake-up says nothing.
    for chatty in ("celery.app.trace", "celery.worker.strategy"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


if __name__ == "__main__":
    read_command_line("webhooks", __doc__)
    main()
