"""Serving: ask the server for work again and again, and bear with it while it is away."""

from __future__ import annotations

import structlog

from workers.inference.lease_watch import WorkerStopping
from workers.inference.task import work_until_idle
from workers.inference.workplace import InClusterWorker, Workplace
from workers.remote.answers import AnswerNotUnderstood
from workers.remote.backoff import ServerBackoff
from workers.remote.errors import NotNow, ServerAway
from workers.remote.server import Server

_log = structlog.get_logger(__name__)


def serve(
    worker: InClusterWorker, place: Workplace, server: Server, backoff: ServerBackoff
) -> None:
    """Work until the shutdown is asked for; the batch under way is finished first.

    :raises NotAdmitted: when the server will not have this worker as it is.
    """
    while not place.shutdown.is_asked():
        try:
            jobs = work_until_idle(worker, place)
        except WorkerStopping:
            return
        except (ServerAway, NotNow, AnswerNotUnderstood) as trouble:
            _log.warning("no job", worker=worker.name, server=server.url, why=str(trouble))
            backoff.after_failure(server.rest_seconds)
        else:
            if jobs:
                backoff.after_success()
            else:
                backoff.while_idle()
