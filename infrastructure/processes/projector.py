"""The projector: what follows the log, the bells, and the sweep. One process, or several."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog

from infrastructure.bootstrap import Hoard, allowances_of, assemble
from infrastructure.processes.supervised import start_process, stop_on_signal, tell_supervisor
from infrastructure.storage.blobs import PLACES
from projections.following.follow import Wake, follow
from projections.view import RecordedEvent
from workers.broker.app import WEBHOOK_QUEUE, WEBHOOK_TASK, make_app
from workers.broker.tracing import where
from workers.broker.wakeups import BrokerSender, BrokerWakeup, makes_work
from workers.chores.balances import fold_balances, give_trust
from workers.chores.losses import flag_losing_workers
from workers.chores.sweep import sweep
from workers.webhooks.scheduler import WebhookScheduling, schedule_until

_log = structlog.get_logger(__name__)

_TRUST_EVERY_SECONDS = 60


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    stop = stop_on_signal()
    settings = start_process()
    hoard = assemble(settings)
    app = make_app(settings.broker)
    webhooks = BrokerSender(app, queue=WEBHOOK_QUEUE, task=WEBHOOK_TASK)
    with BrokerWakeup(BrokerSender(app)) as bell, BrokerWakeup(webhooks) as webhook_wakeup:
        beside = [
            threading.Thread(target=run, args=(stop, hoard, rung), name=name, daemon=True)
            for name, run, rung in (
                ("sweep", sweep_until, bell),
                ("webhooks", schedule_webhooks_until, webhook_wakeup),
            )
        ]
        for thread in beside:
            thread.start()
        tell_supervisor()
        follow_until(stop, hoard, bell)
        for thread in beside:
            thread.join()
    hoard.close()


def follow_until(stop: threading.Event, hoard: Hoard, bell: BrokerWakeup) -> None:
    """Keep the views up to date and ring when there is new work."""

    def react(records: Sequence[RecordedEvent]) -> None:
        if makes_work(records):
            bell.ring()

    with _woken(hoard) as wake:
        follow(hoard.views.followers, stop, hoard.settings.follow_seconds, react, wake)


def schedule_webhooks_until(stop: threading.Event, hoard: Hoard, bell: BrokerWakeup) -> None:
    """Schedule what is to be told by webhook, and ring when something is due."""
    scheduling = WebhookScheduling(
        hoard.storage.log,
        hoard.storage.ledger_database,
        hoard.ledger.webhooks,
        hoard.inline.deliveries,
    )
    with _woken(hoard) as wake:
        schedule_until(
            stop, scheduling, bell.ring, interval=hoard.settings.follow_seconds, wake=wake
        )


@contextmanager
def _woken(hoard: Hoard) -> Iterator[Wake]:
    """Be woken by whoever saves events, until the end of the block."""
    wake = Wake()
    end = hoard.wakeups.listen(wake)
    try:
        yield wake
    finally:
        end()


def sweep_until(stop: threading.Event, hoard: Hoard, bell: BrokerWakeup) -> None:
    """Sweep at once and then every so many seconds, whatever happens to a round."""
    trust_after = 0.0
    place = 0
    while not stop.is_set():
        try:
            now = hoard.clock.now()
            swept = sweep(hoard.inline.queue, hoard.ledger, bell.ring, now)
            hoard.storage.idempotency.forget_those_over(now)
            hoard.storage.uploads.forget_those_over()
            most_lost = hoard.settings.worker_losses_per_hour
            flag_losing_workers(hoard.views.workers, hoard.ledger.workers, most_lost, now)
            if swept.leases or swept.requests or swept.failed:
                _log.info(
                    "swept", leases=swept.leases, requests=swept.requests, failed=swept.failed
                )
            fold_balances(hoard.inline.kudos)
            if time.monotonic() >= trust_after:
                trust_after = time.monotonic() + _TRUST_EVERY_SECONDS
                allowances = allowances_of(hoard.settings)
                if new := give_trust(
                    hoard.inline.kudos, hoard.ledger.kudos, allowances, hoard.clock.now()
                ):
                    _log.info("trusted for good work", accounts=new)
            # A part of the store each time: all of it may be millions of files.
            place = (place + 1) % PLACES
            if old := hoard.storage.blobs.delete_unused(place, hoard.settings.image_days * 86_400):
                _log.info("images deleted", images=old)
        except Exception as error:
            _log.error("sweep failed", error=type(error).__name__, where=where(error))
        stop.wait(hoard.settings.sweep_seconds)


if __name__ == "__main__":
    main()
