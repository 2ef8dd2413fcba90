"""The projector: followers of the log, the bell, and the sweep. One process, or several."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import structlog

from infrastructure.bootstrap import Hoard, assemble
from infrastructure.running.supervised import start_process, stop_on_signal, tell_supervisor
from projections.follow import follow
from projections.view import Recorded
from workers.celery_app import make_app
from workers.reactions import Bell, BrokerSender, makes_work
from workers.sweep import sweep
from workers.tracing import where

_log = structlog.get_logger(__name__)


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
    while not stop.is_set():
        try:
            swept = sweep(hoard.queue, hoard.ledger, bell.ring, hoard.clock.now())
            if swept.leases or swept.requests or swept.failed:
                _log.info(
                    "swept", leases=swept.leases, requests=swept.requests, failed=swept.failed
                )
        except Exception as error:
            _log.error("sweep failed", error=type(error).__name__, where=where(error))
        stop.wait(hoard.settings.sweep_seconds)


if __name__ == "__main__":
    main()
