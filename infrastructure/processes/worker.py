"""An in-cluster worker: a Celery worker with one pool process, which holds the engine.

``python -m infrastructure.processes worker`` runs one; so does Celery's own command, with
``--app infrastructure.processes.worker worker --pool prefork --concurrency 1``.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from functools import cache
from uuid import UUID

import structlog
from celery import Celery, signals

from domain.jobs.job import Job
from infrastructure.bootstrap import Hoard, assemble
from infrastructure.logs.configuration import configure_logs
from infrastructure.processes.child_programs import CHILD_VARIABLE
from infrastructure.processes.engine_factory import Supplies, make_engine, make_inspector
from infrastructure.processes.lifecycle import read_command_line, report_ready
from infrastructure.processes.shutdown import ShutdownPipe
from infrastructure.settings.environment import Settings, load_settings
from workers.broker.app import WORK_QUEUE, make_app, register_work
from workers.broker.wakeups import BrokerSender, BrokerWakeup
from workers.engines.protocol import EngineAway
from workers.inference.lease_watch import Watchdog
from workers.inference.task import work_until_idle
from workers.inference.workplace import InClusterWorker, Workplace, report_presence

_log = structlog.get_logger(__name__)

_AGENT = "Hoard in-cluster:1:operator"
_NICENESS = 5

_settings = load_settings()
_shutdown = ShutdownPipe(_settings.worker_drain_seconds)


def make_worker_app(settings: Settings) -> Celery:
    """Return the Celery app whose task does this worker's jobs."""
    worker_app = make_app(settings.broker)
    register_work(worker_app, lambda: work_until_idle(*_assembled(settings)))
    return worker_app


@cache
def _assembled(settings: Settings) -> tuple[InClusterWorker, Workplace]:
    """Assemble everything, in the pool process and on first use: nothing of it survives a fork."""
    hoard = assemble(settings)
    wakeup = BrokerWakeup(BrokerSender(make_app(settings.broker)))
    worker = InClusterWorker(
        owner_id=hoard.operator.account_id,
        name=settings.worker_name,
        amount=settings.worker_amount,
        max_pixels=settings.worker_max_pixels,
        agent=_AGENT,
    )
    workplace = Workplace(
        jobs=hoard.ledger.jobs,
        engine=make_engine(settings, Supplies(hoard.catalogue, hoard.outbound)),
        blobs=hoard.storage.blobs,
        presence=hoard.views.presence,
        clock=hoard.clock,
        wake_worker=wakeup.send,
        is_leased=lambda job_id: _is_leased(hoard, job_id),
        publish_progress=hoard.wakeups.progress,
        is_slow=lambda name: _is_slow(hoard, name),
        shutdown=_shutdown,
        time_limit=Watchdog(hoard.clock).until,
        inspector=make_inspector(settings),
        provenance=settings.worker_provenance,
    )
    report_presence(lambda: _report(hoard, worker, workplace))
    return worker, workplace


def _report(hoard: Hoard, worker: InClusterWorker, workplace: Workplace) -> None:
    entry = hoard.inline.directory.worker_by_name(worker.name)
    if entry is None:
        return
    try:
        abilities = workplace.engine.abilities()
    except EngineAway:
        # It can take no job; after five minutes it counts as gone.
        return
    amount = workplace.safe_amount.of(worker.amount)
    hoard.views.presence.seen(entry.worker_id, worker.capabilities(abilities, amount))


def _is_leased(hoard: Hoard, job_id: UUID) -> bool:
    job: Job = hoard.ledger.repository.get(job_id)
    return job.is_leased


def _is_slow(hoard: Hoard, name: str) -> bool:
    entry = hoard.inline.directory.worker_by_name(name)
    return entry is not None and hoard.views.workers.is_slow(entry.worker_id)


def main() -> None:
    """Run until SIGTERM: the batch under way is finished, or returned when its time is over.

    A second SIGTERM returns it at once.
    """
    node = os.environ.get(CHILD_VARIABLE, f"worker-{os.getpid()}")
    app.worker_main(
        [
            *("--quiet", "worker"),
            *("--pool", "prefork", "--concurrency", "1"),
            *("--hostname", f"{node}@{socket.gethostname()}"),
            *("--queues", WORK_QUEUE),
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
    )


@signals.setup_logging.connect(weak=False)  # type: ignore[untyped-decorator]
def _set_logs_up(**_facts: object) -> None:
    configure_logs(_settings.log_level, json=_settings.log_json, for_good=True)
    # Celery's line for each wake-up has no information.
    for chatty in ("celery.app.trace", "celery.worker.strategy"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Loading an engine would draw progress bars into the log.
    os.environ.setdefault("TQDM_DISABLE", "1")


@signals.worker_process_init.connect(weak=False)  # type: ignore[untyped-decorator]
def _lower_priority(**_facts: object) -> None:
    # Without a GPU a batch takes every core; the API should still answer.
    os.nice(_NICENESS)


@signals.worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
def _say_ready(**_facts: object) -> None:
    report_ready()
    # Celery's own second Ctrl-C would kill the batch instead of returning it.
    signal.signal(signal.SIGINT, signal.getsignal(signal.SIGTERM))
    # Earlier wake-ups may be lost.
    with BrokerWakeup(BrokerSender(app)) as wakeup:
        wakeup.send()


@signals.worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
def _pass_on(**_facts: object) -> None:
    _shutdown.ask()


app = make_worker_app(_settings)

if __name__ == "__main__":
    read_command_line("worker", __doc__)
    main()
