"""The Celery app: two queues, each with its wake-ups, and a broker that may fail at any time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from celery import Celery
from celery.worker.request import Request
from kombu.asynchronous import get_event_loop

from domain.jobs.leases import LEASES_IN_A_ROW

WORK_TASK = "hoard.work"
"""The message "there is work". It names no job; the ledger is asked for that."""

WORK_QUEUE = "hoard.work"

WEBHOOK_TASK = "hoard.deliver"
"""The message "there are deliveries". It names none of them."""

WEBHOOK_QUEUE = "hoard.webhooks"

LONGEST_TURN_SECONDS = 600
"""A task that works this long starts no further batch, but sends a wake-up for another task."""

LONGEST_BATCH_SECONDS = LEASES_IN_A_ROW * 61 * 3600
"""More than a batch may take at all: 500 steps at 3072x3072 by a transformer with a ControlNet are
leased for sixty hours, so many times in a row. No batch comes near it: its own limits are those of
its lease (:mod:`workers.inference.lease_watch`), which is unknown when a task starts."""

_GRACE_SECONDS = 60
_UNACKED_CHECK_SECONDS = 10


def make_app(broker_url: str) -> Celery:
    """Return the app for a broker, ``redis://``, ``redis+socket://`` or ``amqp://``.

    Nothing is connected yet. Results are neither stored nor waited for: what a task achieves is in
    the ledger. A message is acknowledged after its task, so the broker hands it on if the worker
    dies; should the broker fail at that, too, the sweep sends another.
    """
    # Not the current app of the process: several of them live side by side in tests.
    app = Celery("hoard", set_as_current=False)
    hard_limit = LONGEST_TURN_SECONDS + LONGEST_BATCH_SECONDS
    app.conf.update(
        broker_url=broker_url,
        result_backend=None,
        task_ignore_result=True,
        task_default_queue=WORK_QUEUE,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_soft_time_limit=hard_limit - _GRACE_SECONDS,
        task_time_limit=hard_limit,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # A busy machine may need long to start a pool process; the default of 4 s kills it.
        worker_proc_alive_timeout=60,
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        event_serializer="json",
        enable_utc=True,
        timezone="UTC",
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=4,
        broker_transport_options=_transport_options(broker_url, hard_limit),
    )
    return app


def register_work(app: Celery, work: Callable[[], int]) -> None:
    """Register what a process does at a wake-up: work until idle, return the jobs run."""

    @app.task(name=WORK_TASK, Request="workers.broker.app:WorkRequest")  # type: ignore[untyped-decorator]
    def answer_wakeup() -> int:
        return work()


def register_sending(app: Celery, wake: Callable[[], None]) -> None:
    """Register what a sender of webhooks does at a wake-up: look for deliveries, at once."""

    @app.task(name=WEBHOOK_TASK, Request="workers.broker.app:WorkRequest")  # type: ignore[untyped-decorator]
    def answer_wakeup() -> None:
        wake()


def _transport_options(broker_url: str, hard_limit: int) -> dict[str, object]:
    if not broker_url.startswith(("redis", "sentinel")):
        return {}
    return {
        # A message that is not acknowledged by then is handed to another worker, so it has to be
        # longer than any task. Recovery does not wait for that: the sweep sends one long before.
        "visibility_timeout": hard_limit + _GRACE_SECONDS,
        # Looked for every ten seconds instead of every hundred.
        "unacked_restore_interval": _UNACKED_CHECK_SECONDS,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 4,
        "socket_keepalive": not broker_url.startswith("redis+socket"),
    }


class WorkRequest(Request):  # type: ignore[misc]
    """A message that a worker handles, and that reconnects where its end was not recorded.

    When the connection breaks while a task runs, the acknowledgement after the task fails, and
    kombu only logs that. The message then counts as unfinished for ever; with a prefetch of one
    the worker would never ask its broker for anything again, nor notice that it is disconnected
    (the errors that celery/celery#8030 and its successors report look like this). So it has to
    connect anew, which forgets what the old connection had open.
    """

    def acknowledge(self) -> None:
        """Acknowledge, and reconnect if that failed."""
        super().acknowledge()
        self._reconnect_unless_settled()

    def reject(self, requeue: bool = False) -> None:
        """Reject, and reconnect if that failed."""
        super().reject(requeue)
        self._reconnect_unless_settled()

    def _reconnect_unless_settled(self) -> None:
        loop: Any = get_event_loop()
        if loop is not None:
            # Celery leaves the acknowledging to the loop's next round, in no certain order.
            loop.call_soon(partial(loop.call_soon, self._require_settled))

    def _require_settled(self) -> None:
        # Raised from the event loop itself: what a callback of the pool raises is only logged.
        if not self._message.acknowledged:
            raise ConnectionError("the broker did not take an acknowledgement")
