"""The lease watch: a batch renews its lease as it makes progress, and ends with it.

A batch that reports progress is stopped there; one that hangs is ended from outside.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from domain.jobs.commands import PoppedJob
from domain.jobs.job import PROGRESS_RECORDED_EVERY
from domain.ports import Clock
from domain.return_codes import Refused
from domain.workers.matching import Capabilities
from workers.engines.protocol import Batch, BatchResult, Progress
from workers.inference.workplace import Workplace

_log = structlog.get_logger(__name__)

_CHECK_EVERY = timedelta(seconds=2)
_RENEWED_WITH_LESS_LEFT_THAN = 0.5

GRACE = timedelta(seconds=60)
"""What an engine has to come to an end after its lease, before its process is killed."""


class LeaseLost(Exception):
    """The job is no longer this worker's: its lease ended, or its request is over."""


class WorkerStopping(Exception):
    """This process has to end now, whatever it is doing."""


class LeaseWatch:
    """Watches over one batch: renews its lease while it makes progress, and ends it with the lease.

    Each step is published to the job's watchers; every ten seconds one is recorded. What goes wrong
    with either is no reason to stop.
    """

    def __init__(
        self, job: PoppedJob, *, owner_id: UUID, capabilities: Capabilities, workplace: Workplace
    ) -> None:
        """Watch a job of this owner's worker, which declared these capabilities."""
        self._job = job
        self._owner_id = owner_id
        self._capabilities = capabilities
        self._workplace = workplace
        self._checked_at = self._recorded_at = workplace.clock.now()
        self._renewed_below = _RENEWED_WITH_LESS_LEFT_THAN * timedelta(seconds=job.lease_seconds)
        self._is_renewable = True
        self.lease_ends_at: datetime = job.lease_ends_at
        """When it ends, as far as this worker knows."""

    def generate(self, batch: Batch) -> BatchResult:
        """Have the workplace's engine make the batch within the lease.

        :raises WorkerStopping: when the process has to end now.
        :raises LeaseLost: when the lease or the request is over.
        :raises EngineFailed: when the engine cannot make it.
        """
        with self._workplace.time_limit(lambda: self.lease_ends_at):
            return self._workplace.engine.generate(batch, self.note)

    def note(self, progress: Progress) -> None:
        """Note that a step was made; step 0 is a sign of life before the first one.

        :raises WorkerStopping: when the process has to end now.
        :raises LeaseLost: when the lease or the request is over.
        """
        if self._workplace.shutdown.is_due():
            raise WorkerStopping
        if self.is_over():
            raise LeaseLost
        if progress.step > 0:
            self._publish(progress)
        now = self._workplace.clock.now()
        if now - self._checked_at < _CHECK_EVERY:
            return
        self._checked_at = now
        self._workplace.note_presence(self._job.worker_id, self._capabilities)
        if not self._still_ours():
            raise LeaseLost
        if self._is_renewable and self.lease_ends_at - now < self._renewed_below:
            self._renew()

    def is_over(self) -> bool:
        """Whether the time of the lease is up."""
        return self._workplace.clock.now() >= self.lease_ends_at

    def _publish(self, progress: Progress) -> None:
        job_id, step, steps = self._job.job_id, progress.step, progress.steps
        self._workplace.publish_progress(job_id, step, steps)
        if self._workplace.clock.now() - self._recorded_at < PROGRESS_RECORDED_EVERY:
            return
        try:
            self._workplace.jobs.record_progress(
                job_id, owner_id=self._owner_id, step=step, steps=steps
            )
        except Refused as refusal:
            _log.warning("progress not recorded", job=str(job_id), rc=refusal.code.name)
        except Exception as error:
            _log.warning("progress not recorded", job=str(job_id), error=type(error).__name__)
        # The ledger counts the ten seconds from when it recorded, which is not after this.
        self._recorded_at = self._workplace.clock.now()

    def _still_ours(self) -> bool:
        try:
            return self._workplace.is_leased(self._job.job_id)
        except Exception as error:
            # A database that does not answer for a moment is no reason to drop a batch.
            _log.warning("lease not checked", error=type(error).__name__)
            return True

    def _renew(self) -> None:
        log = _log.bind(job=str(self._job.job_id))
        try:
            ends_at = self._workplace.jobs.renew_lease(self._job.job_id, owner_id=self._owner_id)
        except Refused as refusal:
            log.warning("lease not renewed", rc=refusal.code.name)
            self._is_renewable = refusal.code.name == "Locked"
        except Exception as error:
            log.warning("lease not renewed", error=type(error).__name__)
        else:
            # A lease that ends no later than before is as long as it gets.
            self._is_renewable = ends_at > self.lease_ends_at
            self.lease_ends_at = ends_at
            log.info("lease renewed", ends_at=ends_at.isoformat())


def interrupt_this_process() -> None:
    """Raise Celery's ``SoftTimeLimitExceeded`` in the main thread of a pool process.

    Celery's own limits are fixed when a task starts, before its lease is known; this is the
    signal that they would send. Without a handler, nothing happens.
    """
    if callable(signal.getsignal(signal.SIGUSR1)):
        os.kill(os.getpid(), signal.SIGUSR1)


def kill_this_process() -> None:
    """End this process as an engine that never returns can be ended: from outside of Python."""
    os.kill(os.getpid(), signal.SIGKILL)


class Watchdog:
    """Lets a block take until a moment, and no longer: a soft limit there, a hard one after.

    An engine reports its progress and is stopped there when its lease is over; this is for one
    that reports nothing any more. The process that comes after has a fresh engine.
    """

    def __init__(
        self,
        clock: Clock,
        interrupt: Callable[[], None] = interrupt_this_process,
        kill: Callable[[], None] = kill_this_process,
        grace: timedelta = GRACE,
    ) -> None:
        """Interrupt when the time is up, and kill after the grace: by default, this process."""
        self._clock = clock
        self._grace = grace
        self._interrupt = interrupt
        self._kill = kill

    @contextmanager
    def until(self, moment: Callable[[], datetime]) -> Iterator[None]:
        """Interrupt the block if it is not left by the moment that ``moment`` returns, then kill.

        The function is called again when that moment has come: it may have moved on.
        """
        left = threading.Event()
        watcher = threading.Thread(
            target=self._watch, args=(left, moment), name="watchdog", daemon=True
        )
        try:
            watcher.start()
            yield
        finally:
            left.set()
            if watcher.is_alive():
                watcher.join()

    def _watch(self, left: threading.Event, moment: Callable[[], datetime]) -> None:
        if self._is_left_by(left, moment):
            return
        _log.error("engine hangs", why="its lease is over and it does not stop")
        self._interrupt()
        if not self._is_left_by(left, lambda: moment() + self._grace):
            _log.error("process killed", why="its engine does not stop")
            self._kill()

    def _is_left_by(self, left: threading.Event, moment: Callable[[], datetime]) -> bool:
        while (seconds := (moment() - self._clock.now()).total_seconds()) > 0:
            if left.wait(seconds):
                return True
        return left.is_set()
