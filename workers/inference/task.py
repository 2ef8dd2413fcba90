"""What a worker does when the bell rings: ask, run one batch, deliver, ask again."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from celery.exceptions import SoftTimeLimitExceeded

from domain.jobs.commands import NoJob, PopJob, PoppedJob
from domain.return_codes import Refused
from domain.tracing import where
from domain.workers.matching import Capabilities
from domain.workers.worker import WorkerKind
from workers.broker.app import LONGEST_TURN_SECONDS
from workers.engines.protocol import Batch, EngineAway, EngineFailed, OutOfMemory
from workers.inference.batches import SourceMissing, batch_of
from workers.inference.engine_watch import wait_until_back
from workers.inference.finishing import FinishedImage, finish
from workers.inference.lease_watch import LeaseLost, LeaseWatch, WorkerStopping
from workers.inference.submission import deliver
from workers.inference.workplace import InClusterWorker, Workplace

_log = structlog.get_logger(__name__)


def work_until_idle(worker: InClusterWorker, place: Workplace) -> int:
    """Run jobs, each as one batch, until there is none for this worker; return their number.

    Late binding: only now, with the worker free, the ledger is asked what is best for it. After
    ten minutes it rings for another task instead of asking on, so that tasks have an end. While
    its engine is away it asks for nothing, and goes on as soon as the engine is back.
    """
    turn = _Turn(worker, place)
    jobs = 0
    while True:
        if turn.is_over():
            place.ring()
            return jobs
        try:
            capabilities = turn.capabilities()
        except EngineAway as away:
            turn.wait_for_the_engine(str(away))
            continue
        except EngineFailed as failure:
            _log.error("no job", worker=worker.name, why=str(failure))
            return jobs
        if not capabilities.models:
            _log.warning("no job", worker=worker.name, why="the engine has no model")
            return jobs
        job = turn.ask(capabilities)
        if not isinstance(job, PoppedJob):
            return jobs
        if jobs == 0:
            # There was more than nothing, so there may be more than this: wake one more worker.
            place.ring()
        _Run(job, worker, capabilities, place).run()
        jobs += 1


class _Turn:
    """One answer to the bell, ten minutes long at most but for the batch under way."""

    def __init__(self, worker: InClusterWorker, place: Workplace) -> None:
        self._worker = worker
        self._place = place
        self._ends_at: datetime = place.clock.now() + timedelta(seconds=LONGEST_TURN_SECONDS)

    def is_over(self) -> bool:
        return self._place.shutdown.is_asked() or self._place.clock.now() >= self._ends_at

    def capabilities(self) -> Capabilities:
        amount = self._place.safe_amount.of(self._worker.amount)
        return self._worker.capabilities(self._place.engine.abilities(), amount)

    def wait_for_the_engine(self, why: str) -> None:
        _log.warning("the engine is away", worker=self._worker.name, why=why)
        # This bell may have been for work that another worker can do meanwhile.
        self._place.ring()
        wait_until_back(self._place.engine, stop=self.is_over, pause=self._place.pause)

    def ask(self, capabilities: Capabilities) -> PoppedJob | NoJob | None:
        worker, place = self._worker, self._place
        command = PopJob(
            owner_id=worker.owner_id,
            owner_trusted=True,
            worker_name=worker.name,
            capabilities=capabilities,
            kind=WorkerKind.IN_CLUSTER,
            slow=place.is_slow(worker.name),
            loaded_model=place.engine.loaded_model,
        )
        try:
            answer = place.jobs.pop(command)
        except Refused as refusal:
            _log.warning("no job", worker=worker.name, rc=refusal.code.name, why=refusal.message)
            return None
        place.show(answer.worker_id, capabilities)
        return answer


class _Run:
    """One job from the moment that it is this worker's to the moment that it is not."""

    def __init__(
        self,
        job: PoppedJob,
        worker: InClusterWorker,
        capabilities: Capabilities,
        place: Workplace,
    ) -> None:
        self._job = job
        self._worker = worker
        self._place = place
        self._watch = LeaseWatch(
            job, owner_id=worker.owner_id, capabilities=capabilities, place=place
        )
        self._log = _log.bind(job=str(job.job_id), request=str(job.request_id))

    def run(self) -> None:
        """Run the batch and deliver it, or give it up; whatever happens is dealt with here."""
        job, place = self._job, self._place
        self._log.info(
            "batch started",
            images=len(job.image_ids),
            model=job.model,
            steps=job.settings.steps,
        )
        started = place.clock.now()
        try:
            delivered = self._deliver(self._make(batch_of(job, place.blobs.get)))
        except (LeaseLost, SoftTimeLimitExceeded):
            self._log.warning("batch abandoned", why="its lease ended or its request is over")
        except WorkerStopping:
            self._give_up("the worker was stopped")
        except (EngineFailed, SourceMissing) as failure:
            self._give_up(str(failure))
        except Exception as error:
            # The message of an error may quote the prompt, so it is neither logged nor recorded.
            self._log.error("batch failed", error=type(error).__name__, where=where(error))
            self._give_up(f"the worker failed with {type(error).__name__}")
        else:
            seconds = (place.clock.now() - started).total_seconds()
            self._log.info("batch done", delivered=delivered, seconds=round(seconds, 3))

    def _make(self, batch: Batch) -> tuple[FinishedImage, ...]:
        place = self._place
        try:
            with place.hung_after(lambda: self._watch.lease_ends_at):
                made = place.engine.generate(batch, self._watch)
        except OutOfMemory as failure:
            raise EngineFailed(self._with_less_declared(str(failure), batch.size)) from None
        return finish(
            self._job,
            batch,
            made,
            inspector=place.inspector,
            provenance=place.provenance,
        )

    def _with_less_declared(self, why: str, images: int) -> str:
        lowered = self._place.safe_amount.lower(self._worker.amount, images)
        words = f"out of memory with {images} image{'s' if images > 1 else ''}"
        if why and why not in words:
            words = f"{words} ({why})"
        return words if lowered is None else f"{words}; declares {lowered} from now on"

    def _deliver(self, images: tuple[FinishedImage, ...]) -> int:
        return deliver(
            self._job,
            images,
            owner_id=self._worker.owner_id,
            place=self._place,
            lost=self._watch.is_over,
        )

    def _give_up(self, reason: str) -> None:
        """Return the images to the queue now rather than when the lease ends."""
        self._log.warning("batch given up", why=reason)
        try:
            self._place.jobs.fail(self._job.job_id, owner_id=self._worker.owner_id, reason=reason)
        except Refused as refusal:
            self._log.info("giving up came too late", rc=refusal.code.name)
        except Exception as error:
            self._log.error("giving up failed", error=type(error).__name__, where=where(error))
