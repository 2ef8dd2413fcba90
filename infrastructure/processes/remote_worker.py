"""A remote worker: one process that makes images for somebody else's server, over HTTP.

It has no supervisor and no broker: the server is asked again and again.
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
from infrastructure.outbound.outbound import Outbound
from infrastructure.processes.engine_limits import limited, start_anew
from infrastructure.processes.engines import Supplies, make_engine
from infrastructure.processes.interruptions import Interruptions
from infrastructure.processes.stopping import Stopping
from infrastructure.settings.settings import Settings
from infrastructure.system import SystemClock, SystemRandomSource
from workers.engines.protocol import Engine
from workers.inference.lease_watch import Watchdog, WorkerStopping
from workers.inference.safety import load_inspector
from workers.inference.workplace import InClusterWorker, Workplace
from workers.remote.images import JobImages
from workers.remote.jobs import UNKNOWN_ID, RemoteJobs
from workers.remote.server import Server
from workers.remote.serving import ServerBackoff, serve

_log = structlog.get_logger(__name__)

BRIDGE_AGENT = f"{REMOTE_AGENT}:1:operator"
"""As what the worker presents itself, ``name:version:contact``."""


def serve_remotely(settings: Settings, server: Server, on_ready: Callable[[], None]) -> None:
    """Load the engine and serve until SIGTERM or Ctrl-C; to be called from the main thread.

    The batch under way is finished and submitted first; a second signal faults it at once.

    :param on_ready: called when the engine is loaded.
    :raises CatalogueInvalid: when the operator's own models cannot be read.
    :raises EngineFailed: when there is no engine to be had.
    :raises InspectorInvalid: when there is no content checker by the name that was set.
    :raises NotAdmitted: when the server will not have this worker as it is.
    """
    # Loading an engine would draw progress bars into the log.
    os.environ.setdefault("TQDM_DISABLE", "1")
    catalogue = ModelCatalogue.in_folder(settings.data)
    outbound = Outbound(permitted=settings.permitted_networks, proxy=settings.egress)
    engine = make_engine(settings, Supplies(catalogue, outbound))
    try:
        with Interruptions() as interruptions:
            stopping = Stopping(interruptions, settings.worker_drain_seconds)
            job_images = JobImages()
            jobs = RemoteJobs(
                server,
                outbound,
                job_images,
                models=catalogue,
                clock=SystemClock(),
                random_source=SystemRandomSource(),
            )
            workplace = _workplace(settings, server, engine, jobs, job_images, stopping)
            on_ready()
            serve(_worker(settings), workplace, server, ServerBackoff(interruptions.wait))
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
    stopping: Stopping,
) -> Workplace:
    clock = SystemClock()

    def pause(seconds: float) -> None:
        # Many workers, and one server that comes back.
        stopping.wait(max(server.rest_seconds, seconds * (1 + random.random() / 2)))
        if stopping.is_due():
            raise WorkerStopping

    return Workplace(
        jobs=jobs,
        engine=engine,
        blobs=job_images,
        presence=_Unseen(),
        clock=clock,
        wake_worker=lambda: None,
        is_leased=jobs.is_leased,
        shutdown=stopping,
        time_limit=limited(Watchdog(clock, kill=lambda: start_anew(stopping))),
        pause=pause,
        inspector=load_inspector(inspector) if (inspector := settings.worker_inspector) else None,
        provenance=settings.worker_provenance,
    )


class _Unseen:
    """The server sees its workers by their pops."""

    def seen(self, worker_id: UUID, capabilities: Capabilities) -> None:
        """Do nothing."""
