"""A remote worker: one process that makes images for another server, over HTTP.

It has no supervisor and no broker; it polls the server.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from uuid import UUID

import structlog

from domain.workers.bridges import REMOTE_AGENT
from domain.workers.matching import Capabilities
from infrastructure.models.catalogue import ModelCatalogue
from infrastructure.outbound.guard import Outbound
from infrastructure.processes.engine_factory import Supplies, make_engine, make_inspector
from infrastructure.processes.shutdown import SignalShutdown, StopSignals
from infrastructure.processes.time_limits import limited, restart_process
from infrastructure.settings.environment import Settings
from infrastructure.system import SystemClock, SystemRandomSource
from workers.engines.protocol import Engine
from workers.inference.lease_watch import Watchdog, WorkerStopping
from workers.inference.workplace import InClusterWorker, Workplace
from workers.remote.images import JobImages
from workers.remote.jobs import UNKNOWN_ID, RemoteJobs
from workers.remote.server import Server
from workers.remote.serving import ServerBackoff, serve

_log = structlog.get_logger(__name__)

BRIDGE_AGENT = f"{REMOTE_AGENT}:1:operator"
"""The worker's software, as ``name:version:contact``."""


def serve_remotely(settings: Settings, server: Server, on_ready: Callable[[], None]) -> None:
    """Load the engine and serve until SIGTERM or Ctrl-C; to be called from the main thread.

    The batch under way is finished and submitted first; a second signal faults it at once.

    :param on_ready: called when the engine is loaded.
    :raises CatalogueInvalid: when the operator's own models cannot be read.
    :raises EngineFailed: when the engine cannot be built.
    :raises InspectorInvalid: when the content checker of the settings cannot be loaded.
    :raises NotAdmitted: when the server refuses this worker.
    """
    # Loading an engine would draw progress bars into the log.
    os.environ.setdefault("TQDM_DISABLE", "1")
    catalogue = ModelCatalogue.in_folder(settings.data)
    outbound = Outbound(permitted=settings.permitted_networks, proxy=settings.egress)
    engine = make_engine(settings, Supplies(catalogue, outbound))
    try:
        with StopSignals() as signals:
            shutdown = SignalShutdown(signals, settings.worker_drain_seconds)
            job_images = JobImages()
            jobs = RemoteJobs(
                server,
                outbound,
                job_images,
                models=catalogue,
                clock=SystemClock(),
                random_source=SystemRandomSource(),
            )
            workplace = _workplace(settings, server, engine, jobs, job_images, shutdown)
            on_ready()
            serve(_worker(settings), workplace, server, ServerBackoff(signals.wait))
            _log.info("worker ended", kudos=round(jobs.earned, 2))
    finally:
        engine.close()
        outbound.close()


def _worker(settings: Settings) -> InClusterWorker:
    return InClusterWorker(
        owner_id=UNKNOWN_ID,
        name=settings.worker_name,
        amount=settings.worker_amount,
        max_pixels=settings.worker_max_pixels,
        agent=BRIDGE_AGENT,
    )


def _workplace(
    settings: Settings,
    server: Server,
    engine: Engine,
    jobs: RemoteJobs,
    job_images: JobImages,
    shutdown: SignalShutdown,
) -> Workplace:
    clock = SystemClock()

    def pause(seconds: float) -> None:
        # With jitter: many workers wait for one server.
        shutdown.wait(max(server.rest_seconds, seconds * (1 + random.random() / 2)))
        if shutdown.is_due():
            raise WorkerStopping

    return Workplace(
        jobs=jobs,
        engine=engine,
        blobs=job_images,
        presence=_NoPresence(),
        clock=clock,
        wake_worker=lambda: None,
        is_leased=jobs.is_leased,
        shutdown=shutdown,
        time_limit=limited(Watchdog(clock, kill=lambda: restart_process(shutdown))),
        pause=pause,
        inspector=make_inspector(settings),
        provenance=settings.worker_provenance,
    )


class _NoPresence:
    """Reports nothing: the server sees its workers by their pops."""

    def seen(self, worker_id: UUID, capabilities: Capabilities) -> None:
        """Do nothing."""
