"""What an in-cluster worker does when the bell rings: ask, run one batch, deliver, ask again."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from domain.commands import NoJob, PopJob, PoppedJob
from domain.matching import Capabilities
from domain.ports import Clock
from domain.return_codes import Refused
from domain.worker import WorkerKind
from workers.celery_app import LONGEST_TURN_SECONDS
from workers.delivery import Blobs, Results, deliver
from workers.engines.protocol import Batch, Engine, EngineFailed, Progress
from workers.tracing import where

_log = structlog.get_logger(__name__)

_CHECK_EVERY = timedelta(seconds=2)


class LeaseLost(Exception):
    """The job is no longer this worker's: its lease ended, or its request is over."""


class WorkerStopping(Exception):
    """This process has to end now, whatever it is doing."""


class Jobs(Results, Protocol):
    """The ledger as a worker sees it."""

    def pop_job(self, command: PopJob) -> PoppedJob | NoJob:
        """Return the best slice for this worker, leased to it."""

    def fail_job(self, job_id: UUID, *, owner_id: UUID, reason: str) -> None:
        """Give a batch up."""


class Presence(Protocol):
    """Where a worker shows that it lives."""

    def seen(self, worker_id: UUID, capabilities: Capabilities) -> None:
        """Note that it is here now; cheap, however often it is called."""


class Shutdown(Protocol):
    """How a worker learns that its process should end."""

    def is_asked(self) -> bool:
        """Whether no further job should be started."""

    def is_due(self) -> bool:
        """Whether the job at hand has to be given up, too."""


class _NoShutdown:
    def is_asked(self) -> bool:
        return False

    def is_due(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class InClusterWorker:
    """Who asks for work: one process of this installation."""

    owner_id: UUID
    """The account that in-cluster workers belong to."""
    name: str
    """Unique among all workers, 1 to 100 characters."""
    amount: int
    """Images per batch, 1 to 20."""
    max_pixels: int
    """Pixels of the largest image that it makes."""
    agent: str
    """Name, version and contact of its software, ``name:version:url``."""

    def capabilities(self, engine: Engine) -> Capabilities:
        """Return what it declares with this engine: text to image, from wherever it is asked."""
        return Capabilities(
            models=tuple(sorted(engine.models)),
            amount=self.amount,
            max_pixels=self.max_pixels,
            nsfw=True,
            threads=1,
            extra_slow=False,
            bridge_agent=self.agent,
            unsafe_ip=True,
        )


@dataclass(frozen=True, slots=True)
class Workplace:
    """All that a worker works with."""

    ledger: Jobs
    engine: Engine
    blobs: Blobs
    presence: Presence
    clock: Clock
    ring: Callable[[], None]
    """Wakes another worker; returns at once."""
    is_leased: Callable[[UUID], bool]
    """Whether results of a job are still taken; one small read."""
    is_slow: Callable[[str], bool] = lambda _name: False
    """Whether a worker of this name was measured as slow."""
    shutdown: Shutdown = field(default_factory=_NoShutdown)
    hung_after: Callable[[datetime], AbstractContextManager[object]] = lambda _: nullcontext()
    """Ends this process if the block is not left by then."""
    pause: Callable[[float], None] = time.sleep
    """Waits a number of seconds before something that failed is tried again."""


def work_until_idle(worker: InClusterWorker, place: Workplace) -> int:
    """Run jobs, each as one batch, until there is none for this worker; return their number.

    Late binding: only now, with the worker free, the ledger is asked what is best for it. After
    ten minutes it rings for another task instead of asking on, so that tasks have an end.
    """
    capabilities = worker.capabilities(place.engine)
    turn_ends_at = place.clock.now() + timedelta(seconds=LONGEST_TURN_SECONDS)
    jobs = 0
    while True:
        if place.shutdown.is_asked() or place.clock.now() >= turn_ends_at:
            place.ring()
            return jobs
        job = _ask(worker, capabilities, place)
        if not isinstance(job, PoppedJob):
            return jobs
        if jobs == 0:
            # There was more than nothing, so there may be more than this: wake one more worker.
            place.ring()
        _run(job, worker, capabilities, place)
        jobs += 1


def _ask(
    worker: InClusterWorker, capabilities: Capabilities, place: Workplace
) -> PoppedJob | NoJob | None:
    command = PopJob(
        owner_id=worker.owner_id,
        owner_trusted=True,
        worker_name=worker.name,
        capabilities=capabilities,
        kind=WorkerKind.IN_CLUSTER,
        slow=place.is_slow(worker.name),
    )
    try:
        answer = place.ledger.pop_job(command)
    except Refused as refusal:
        _log.warning("no job", worker=worker.name, rc=refusal.code.name, why=refusal.message)
        return None
    _show(answer.worker_id, capabilities, place)
    return answer


def _run(
    job: PoppedJob, worker: InClusterWorker, capabilities: Capabilities, place: Workplace
) -> None:
    log = _log.bind(job=str(job.job_id), request=str(job.request_id), images=len(job.image_ids))
    log.info("batch started", model=job.model, steps=job.settings.steps)
    started = place.clock.now()
    watch = _LeaseWatch(job, capabilities, place)
    grace = timedelta(seconds=60)
    try:
        with place.hung_after(job.lease_ends_at + grace):
            images = place.engine.generate(_batch_of(job), watch)
        delivered = deliver(job, images, owner_id=worker.owner_id, place=place, lost=watch.is_over)
    except LeaseLost:
        log.warning("batch abandoned", why="its lease ended or its request is over")
        return
    except WorkerStopping:
        reason = "the worker was stopped"
    except EngineFailed as failure:
        reason = str(failure)
    except Exception as error:
        # The message of an error may quote the prompt, so it is neither logged nor recorded.
        reason = f"the worker failed with {type(error).__name__}"
        log.error("batch failed", error=type(error).__name__, where=where(error))
    else:
        seconds = (place.clock.now() - started).total_seconds()
        log.info("batch done", delivered=delivered, seconds=round(seconds, 3))
        return
    _give_up(job, reason, worker, place)


def _give_up(job: PoppedJob, reason: str, worker: InClusterWorker, place: Workplace) -> None:
    """Return the images to the queue now rather than when the lease ends."""
    log = _log.bind(job=str(job.job_id), request=str(job.request_id))
    log.warning("batch given up", why=reason)
    try:
        place.ledger.fail_job(job.job_id, owner_id=worker.owner_id, reason=reason)
    except Refused as refusal:
        log.info("giving up came too late", rc=refusal.code.name)
    except Exception as error:
        log.error("giving up failed", error=type(error).__name__, where=where(error))


class _LeaseWatch:
    """Called after each step: stops a batch whose result nobody would take."""

    def __init__(self, job: PoppedJob, capabilities: Capabilities, place: Workplace) -> None:
        self._job = job
        self._capabilities = capabilities
        self._place = place
        self._checked_at = place.clock.now()

    def __call__(self, _progress: Progress) -> None:
        if self._place.shutdown.is_due():
            raise WorkerStopping
        if self.is_over():
            raise LeaseLost
        now = self._place.clock.now()
        if now - self._checked_at < _CHECK_EVERY:
            return
        self._checked_at = now
        _show(self._job.worker_id, self._capabilities, self._place)
        if not self._still_ours():
            raise LeaseLost

    def is_over(self) -> bool:
        """Whether the time of the lease is up."""
        return self._place.clock.now() >= self._job.lease_ends_at

    def _still_ours(self) -> bool:
        try:
            return self._place.is_leased(self._job.job_id)
        except Exception as error:
            # A database that does not answer for a moment is no reason to drop a batch.
            _log.warning("lease not checked", error=type(error).__name__)
            return True


def _show(worker_id: UUID, capabilities: Capabilities, place: Workplace) -> None:
    try:
        place.presence.seen(worker_id, capabilities)
    except Exception as error:
        _log.warning("presence not noted", error=type(error).__name__)


def _batch_of(job: PoppedJob) -> Batch:
    settings = job.settings
    return Batch(
        job_id=job.job_id,
        image_ids=job.image_ids,
        model=job.model,
        prompt=job.prompt,
        negative_prompt=job.negative_prompt,
        width=settings.width,
        height=settings.height,
        steps=settings.steps,
        cfg_scale=settings.cfg_scale,
        sampler=settings.sampler,
        karras=settings.karras,
        clip_skip=settings.clip_skip,
        seed=job.seed,
    )
