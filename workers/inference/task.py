"""The task of a worker: ask for a job, run it as one batch, submit its images, ask again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from celery.exceptions import SoftTimeLimitExceeded

from domain.backoff import Backoff
from domain.images.source_images import SourceImages
from domain.jobs.commands import NoJob, PopJob, PoppedJob
from domain.return_codes import Refused
from domain.tracing import where
from domain.workers.matching import Capabilities
from domain.workers.worker import WorkerKind
from workers.broker.app import LONGEST_TURN_SECONDS
from workers.engines.protocol import (
    Batch,
    BatchResult,
    Engine,
    EngineAway,
    EngineFailed,
    OutOfMemory,
    Source,
)
from workers.inference.lease_watch import LeaseLost, LeaseWatch, WorkerStopping
from workers.inference.submission import submit
from workers.inference.workplace import InClusterWorker, Workplace

_log = structlog.get_logger(__name__)

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_LOOK_EVERY_SECONDS = 1.0
"""How often a wait for the engine looks whether it should end."""


def work_until_idle(worker: InClusterWorker, workplace: Workplace) -> int:
    """Run jobs, each as one batch, until there is none for this worker; return their number.

    Late binding: only now, with the worker free, the ledger is asked what is best for it. After
    ten minutes it sends a wake-up for another task instead of going on, so that tasks have an end.
    While its engine is away it pops nothing, and goes on as soon as the engine is back.
    """
    turn = _Turn(worker, workplace)
    jobs = 0
    while True:
        if turn.is_over():
            workplace.wake_worker()
            return jobs
        try:
            capabilities = turn.capabilities()
        except EngineAway as away:
            turn.wait_for_engine(str(away))
            continue
        except EngineFailed as failure:
            _log.error("no job", worker=worker.name, why=str(failure))
            return jobs
        if not capabilities.models:
            _log.warning("no job", worker=worker.name, why="the engine has no model")
            return jobs
        job = turn.pop(capabilities)
        if not isinstance(job, PoppedJob):
            return jobs
        if jobs == 0:
            # There was more than nothing, so there may be more than this: wake one more worker.
            workplace.wake_worker()
        _JobRun(job, worker, capabilities, workplace).run()
        jobs += 1


class _Turn:
    """One answer to a wake-up: ten minutes long at most, but for the batch under way."""

    def __init__(self, worker: InClusterWorker, workplace: Workplace) -> None:
        self._worker = worker
        self._workplace = workplace
        self._ends_at: datetime = workplace.clock.now() + timedelta(seconds=LONGEST_TURN_SECONDS)

    def is_over(self) -> bool:
        return (
            self._workplace.shutdown.is_requested() or self._workplace.clock.now() >= self._ends_at
        )

    def capabilities(self) -> Capabilities:
        amount = self._workplace.safe_amount.of(self._worker.amount)
        return self._worker.capabilities(self._workplace.engine.abilities(), amount)

    def wait_for_engine(self, why: str) -> None:
        _log.warning("the engine is away", worker=self._worker.name, why=why)
        # This wake-up may have been for work that another worker can do meanwhile.
        self._workplace.wake_worker()
        wait_until_back(self._workplace.engine, stop=self.is_over, pause=self._workplace.pause)

    def pop(self, capabilities: Capabilities) -> PoppedJob | NoJob | None:
        worker, workplace = self._worker, self._workplace
        command = PopJob(
            owner_id=worker.owner_id,
            owner_trusted=True,
            worker_name=worker.name,
            capabilities=capabilities,
            kind=WorkerKind.IN_CLUSTER,
            slow=workplace.is_slow(worker.name),
            loaded_model=workplace.engine.loaded_model,
        )
        try:
            answer = workplace.jobs.pop(command)
        except Refused as refusal:
            _log.warning("no job", worker=worker.name, rc=refusal.code.name, why=refusal.message)
            return None
        workplace.note_presence(answer.worker_id, capabilities)
        return answer


class _JobRun:
    """One job, from its pop to its last submitted image or its fault."""

    def __init__(
        self,
        job: PoppedJob,
        worker: InClusterWorker,
        capabilities: Capabilities,
        workplace: Workplace,
    ) -> None:
        self._job = job
        self._worker = worker
        self._workplace = workplace
        self._watch = LeaseWatch(
            job, owner_id=worker.owner_id, capabilities=capabilities, workplace=workplace
        )
        self._log = _log.bind(job=str(job.job_id), request=str(job.request_id))

    def run(self) -> None:
        """Run the batch and submit its images, or fault the job; no error leaves this method."""
        job, workplace = self._job, self._workplace
        self._log.info(
            "batch started",
            images=len(job.image_ids),
            model=job.model,
            steps=job.settings.steps,
        )
        started = workplace.clock.now()
        try:
            batch = batch_of(job, workplace.blobs.get)
            submitted = submit(
                job,
                batch,
                self._generate(batch),
                owner_id=self._worker.owner_id,
                workplace=workplace,
                lost=self._watch.is_over,
            )
        except (LeaseLost, SoftTimeLimitExceeded):
            self._log.warning("batch abandoned", why="its lease ended or its request is over")
        except WorkerStopping:
            self._fault("the worker was stopped")
        except (EngineFailed, SourceMissing) as failure:
            self._fault(str(failure))
        except Exception as error:
            # The message of an error may quote the prompt, so it is neither logged nor recorded.
            self._log.error("batch failed", error=type(error).__name__, where=where(error))
            self._fault(f"the worker failed with {type(error).__name__}")
        else:
            seconds = (workplace.clock.now() - started).total_seconds()
            self._log.info("batch done", submitted=submitted, seconds=round(seconds, 3))

    def _generate(self, batch: Batch) -> BatchResult:
        try:
            return self._watch.generate(batch)
        except OutOfMemory as failure:
            raise EngineFailed(self._with_less_declared(str(failure), batch.size)) from None

    def _with_less_declared(self, why: str, images: int) -> str:
        lowered = self._workplace.safe_amount.lower(self._worker.amount, images)
        reason = f"out of memory with {images} image{'s' if images > 1 else ''}"
        if why and why not in reason:
            reason = f"{reason} ({why})"
        return reason if lowered is None else f"{reason}; declares {lowered} from now on"

    def _fault(self, reason: str) -> None:
        """Return the images to the queue now rather than when the lease ends."""
        self._log.warning("batch faulted", why=reason)
        try:
            self._workplace.jobs.fail(
                self._job.job_id, owner_id=self._worker.owner_id, reason=reason
            )
        except Refused as refusal:
            self._log.info("fault came too late", rc=refusal.code.name)
        except Exception as error:
            self._log.error("fault not recorded", error=type(error).__name__, where=where(error))


def wait_until_back(
    engine: Engine, *, stop: Callable[[], bool], pause: Callable[[float], None]
) -> bool:
    """Return whether the engine answers again; False when it was time to stop before.

    The pause between two attempts doubles, from one second to half a minute.

    :param stop: whether to wait no longer; looked at every second.
    :param pause: waits a number of seconds.
    """
    backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
    while True:
        seconds = backoff.next_pause()
        waited = 0.0
        while not stop() and waited < seconds:
            pause(_LOOK_EVERY_SECONDS)
            waited += _LOOK_EVERY_SECONDS
        if stop():
            return False
        try:
            engine.abilities()
        except EngineAway:
            continue
        _log.info("the engine is back", engine=engine.name)
        return True


class SourceMissing(Exception):
    """A source image of the job is no longer there; the message is safe to record."""


def batch_of(job: PoppedJob, read: Callable[[str], bytes]) -> Batch:
    """Return the batch that a job is run as.

    One image that is made again keeps its batch index, by itself or with the whole batch around it.

    :param read: returns a source image by its digest, or raises a ``LookupError``.
    :raises SourceMissing: when one of them is not there.
    """
    replication = job.replication
    if replication is None:
        indices, size = tuple(range(len(job.image_ids))), len(job.image_ids)
    else:
        indices, size = (replication.place,), replication.batch_size if replication.exact else 1
    return Batch(
        job_id=job.job_id,
        image_ids=job.image_ids,
        model=job.model,
        prompt=job.prompt.strip(),
        negative_prompt=job.negative_prompt.strip(),
        settings=job.settings,
        seed=job.seed,
        indices=indices,
        size=size,
        source=None if job.source is None else _source_of(job.source, read),
        texts=job.extra_texts,
    )


def _source_of(source: SourceImages, read: Callable[[str], bytes]) -> Source:
    try:
        return Source(
            processing=source.processing,
            image=None if source.image is None else read(source.image),
            mask=None if source.mask is None else read(source.mask),
            extra=tuple(read(extra.digest) for extra in source.extra),
        )
    except LookupError:
        raise SourceMissing("a source image is no longer there") from None
