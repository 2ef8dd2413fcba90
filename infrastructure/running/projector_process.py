"""The projector: followers of the log, the bell, and the sweep. One process, or several."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import structlog

from infrastructure.blobs import PLACES
from infrastructure.bootstrap import Hoard, allowances_of, assemble
from infrastructure.running.supervised import start_process, stop_on_signal, tell_supervisor
from projections.follow import follow
from projections.view import Recorded
from workers.celery_app import make_app
from workers.losses import flag_losing_workers
from workers.reactions import Bell, BrokerSender, makes_work
from workers.sweep import sweep
from workers.tracing import where
from workers.upkeep import fold_balances, give_trust

_log = structlog.get_logger(__name__)

_TRUST_EVERY_SECONDS = 60


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    stop = stop_on_signal()
    settings = start_process()
    hoard = assemble(settings)
    with Bell(BrokerSender(make_app(settings.broker))) as bell:
        sweeper = threading.Thread(
            target=sweep_until, args=(stop, hoard, bell), name="sweep", daemon=True
        )
        sweeper.start()
        tell_supervisor()
        follow_until(stop, hoard, bell)
        sweeper.join()
    hoard.close()


def follow_until(stop: threading.Event, hoard: Hoard, bell: Bell) -> None:
    """Keep the views up to date and ring when there is new work."""

    def react(records: Sequence[Recorded]) -> None:
        if makes_work(records):
            bell.ring()

    follow(hoard.followers, stop, hoard.settings.follow_seconds, react)


def sweep_until(stop: threading.Event, hoard: Hoard, bell: Bell) -> None:
    """Sweep at once and then every so many seconds, whatever happens to a round."""
    trust_after = 0.0
    place = 0
    while not stop.is_set():
        try:
            now = hoard.clock.now()
            swept = sweep(hoard.queue, hoard.ledger, bell.ring, now)
            hoard.repeats.forget_those_over(now)
            hoard.uploads.forget_those_over()
            most_lost = hoard.settings.worker_losses_per_hour
            flag_losing_workers(hoard.workers, hoard.ledger, most_lost, now)
            if swept.leases or swept.requests or swept.failed:
                _log.info(
                    "swept", leases=swept.leases, requests=swept.requests, failed=swept.failed
                )
            fold_balances(hoard.kudos)
            if time.monotonic() >= trust_after:
                trust_after = time.monotonic() + _TRUST_EVERY_SECONDS
                allowances = allowances_of(hoard.settings)
                if new := give_trust(hoard.kudos, hoard.ledger, allowances, hoard.clock.now()):
                    _log.info("trusted for good work", accounts=new)
            # A part of the store each time: all of it may be millions of files.
            place = (place + 1) % PLACES
            if old := hoard.blobs.delete_unused(place, hoard.settings.image_days * 86_400):
                _log.info("images deleted", images=old)
        except Exception as error:
            _log.error("sweep failed", error=type(error).__name__, where=where(error))
        stop.wait(hoard.settings.sweep_seconds)


if __name__ == "__main__":
    main()
