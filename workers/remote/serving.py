"""Serving: ask the server for work again and again, and back off while it is away."""

from __future__ import annotations

import random
from collections.abc import Callable

import structlog

from domain.backoff import Backoff
from workers.inference.lease_watch import WorkerStopping
from workers.inference.task import work_until_idle
from workers.inference.workplace import InClusterWorker, Workplace
from workers.remote.pop import AnswerNotUnderstood
from workers.remote.server import NotNow, Server, ServerAway

_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0
_IDLE_SECONDS = 2.0
_JITTER = 0.5

_log = structlog.get_logger(__name__)


class ServerBackoff:
    """Doubles the wait with each failure in a row, from one second to a minute.

    Each wait is cut by a random part of up to a half: workers that lost their server together
    must not come back together.
    """

    def __init__(
        self, wait: Callable[[float], None], random_source: Callable[[], float] = random.random
    ) -> None:
        """Wait with this function.

        :param wait: waits a number of seconds, or shorter when there is something to be done.
        :param random_source: a random number from 0 to 1.
        """
        self._wait = wait
        self._failing = Backoff(
            _FIRST_SECONDS, _LONGEST_SECONDS, jitter=_JITTER, random_source=random_source
        )
        self._idle = Backoff(
            _IDLE_SECONDS, _IDLE_SECONDS, jitter=_JITTER, random_source=random_source
        )

    def after_failure(self, at_least: float = 0.0) -> None:
        """Wait, longer than after the failure before.

        :param at_least: seconds that the server asked for.
        """
        self._wait(max(at_least, self._failing.next_pause()))

    def while_idle(self) -> None:
        """Wait because there is no work; the server is well."""
        self.after_success()
        self._wait(self._idle.next_pause())

    def after_success(self) -> None:
        """Forget the failures; wait for nothing."""
        self._failing.reset()


def serve(
    worker: InClusterWorker, workplace: Workplace, server: Server, backoff: ServerBackoff
) -> None:
    """Work until the shutdown is asked for; the batch under way is finished first.

    :raises NotAdmitted: when the server will not have this worker as it is.
    """
    while not workplace.shutdown.is_requested():
        try:
            jobs = work_until_idle(worker, workplace)
        except WorkerStopping:
            return
        except (ServerAway, NotNow, AnswerNotUnderstood) as error:
            _log.warning("no job", worker=worker.name, server=server.url, why=str(error))
            backoff.after_failure(server.rest_seconds)
        else:
            if jobs:
                backoff.after_success()
            else:
                backoff.while_idle()
