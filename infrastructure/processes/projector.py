"""The projector: followers of the log, wake-ups of workers, and chores. One process, or several."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from infrastructure.bootstrap import Hoard, allowances_of, assemble
from infrastructure.processes.lifecycle import (
    read_command_line,
    report_ready,
    start_process,
    stop_on_signal,
)
from infrastructure.storage.blobs import SHARDS
from projections.following.log_follower import LogFollower
from projections.following.views import ViewFollower
from projections.following.wakeups import listening
from projections.view import RecordedEvent
from workers.broker.app import WEBHOOK_QUEUE, WEBHOOK_TASK, make_app
from workers.broker.wakeups import BrokerSender, BrokerWakeup, makes_work
from workers.chores.balances import fold_balances, give_trust
from workers.chores.images import ImageDeletion
from workers.chores.losses import flag_losing_workers
from workers.chores.runner import Chore, ChoreRunner
from workers.chores.sweep import sweep
from workers.webhooks.scheduling import LEAST_REST_SECONDS, WebhookScheduling

_TRUST_EVERY_SECONDS = 60


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    stop = stop_on_signal()
    settings = start_process()
    hoard = assemble(settings)
    app = make_app(settings.broker)
    webhooks = BrokerSender(app, queue=WEBHOOK_QUEUE, task=WEBHOOK_TASK)
    with BrokerWakeup(BrokerSender(app)) as workers, BrokerWakeup(webhooks) as senders:
        chores = ChoreRunner(chores_of(hoard, workers.send))
        beside = [
            threading.Thread(target=chores.run_until, args=(stop,), name="chores", daemon=True),
            threading.Thread(
                target=schedule_webhooks,
                args=(stop, hoard, senders.send),
                name="webhooks",
                daemon=True,
            ),
        ]
        for thread in beside:
            thread.start()
        report_ready()
        follow_with_views(stop, hoard, workers.send)
        for thread in beside:
            thread.join()
    hoard.close()


def follow_with_views(stop: threading.Event, hoard: Hoard, wake: Callable[[], None]) -> None:
    """Keep the views up to date until ``stop`` is set, and wake a worker when there is new work."""

    def wake_for_work(records: Sequence[RecordedEvent]) -> None:
        if makes_work(records):
            wake()

    follower = ViewFollower.together(hoard.views.followers, on_taken=wake_for_work)
    with listening(hoard.wakeups) as wakeup:
        follower.follow(stop, interval=hoard.settings.follow_seconds, wakeup=wakeup)


def schedule_webhooks(stop: threading.Event, hoard: Hoard, wake: Callable[[], None]) -> None:
    """Schedule deliveries until ``stop`` is set, and wake a sender when there are new ones."""
    scheduling = WebhookScheduling(
        hoard.storage.log,
        hoard.storage.ledger_database,
        hoard.ledger.webhooks,
        hoard.inline.deliveries,
        lambda new: wake(),
    )
    with listening(hoard.wakeups) as wakeup:
        LogFollower(hoard.storage.log, scheduling).follow(
            stop,
            interval=hoard.settings.follow_seconds,
            least_rest=LEAST_REST_SECONDS,
            wakeup=wakeup,
        )


def chores_of(hoard: Hoard, wake: Callable[[], None]) -> Sequence[Chore]:
    """Return what time alone brings about, in the order in which it is done at the start.

    :param wake: wakes a worker; called as long as anything waits for one.
    """
    settings, ledger, now = hoard.settings, hoard.ledger, hoard.clock.now
    most_lost, allowances = settings.worker_losses_per_hour, allowances_of(settings)
    images = ImageDeletion(hoard.storage.blobs, parts=SHARDS, days=settings.image_days)
    every = settings.sweep_seconds
    return (
        Chore("sweep", lambda: sweep(hoard.inline.queue, ledger, wake, now()), every),
        Chore(
            "forget idempotency keys",
            lambda: hoard.storage.idempotency.delete_expired(now()),
            every,
        ),
        Chore("forget uploads", hoard.storage.uploads.delete_expired, every),
        Chore(
            "flag losing workers",
            lambda: flag_losing_workers(hoard.views.workers, ledger.workers, most_lost, now()),
            every,
        ),
        Chore("fold balances", lambda: fold_balances(hoard.inline.kudos), every),
        Chore(
            "give trust",
            lambda: give_trust(hoard.inline.kudos, ledger.kudos, allowances, now()),
            max(every, _TRUST_EVERY_SECONDS),
        ),
        Chore("delete unused images", images.run, every),
    )


if __name__ == "__main__":
    read_command_line("projector", __doc__)
    main()
