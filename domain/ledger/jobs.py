"""Jobs: leased to workers, submitted image by image, renewed, failed, and ended by time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from uuid import UUID

from domain.images.metadata import GenerationMetadata
from domain.images.provenance import Provenance
from domain.jobs.commands import NoJob, PopJob, PoppedJob
from domain.jobs.image_ids import job_of
from domain.jobs.job import ImageState, Job
from domain.jobs.leases import LEASES_IN_A_ROW
from domain.ledger.core import Core
from domain.ledger.endings import Endings
from domain.ledger.leasing import Leasing
from domain.ledger.ports import LoadedModels
from domain.ledger.workers import Workers
from domain.return_codes import Refused
from domain.workers.matching import Candidate

_LOST_TOO_MUCH = (
    "This worker lost too many jobs of late, so it was put into maintenance. Have a look at it, "
    "perhaps let it declare less, and end the maintenance."
)


class Jobs:
    """The commands on jobs: from workers, and for leases that expire."""

    def __init__(
        self,
        core: Core,
        workers: Workers,
        leasing: Leasing,
        endings: Endings,
        loaded_models: LoadedModels,
    ) -> None:
        """Build on the core, on these parts of the ledger and this memory."""
        self._core = core
        self._workers = workers
        self._leasing = leasing
        self._endings = endings
        self._loaded_models = loaded_models

    def pop(self, command: PopJob) -> PoppedJob | NoJob:
        """Slice the best waiting request for this worker and lease it the slice as one job.

        The requests of its owner and of the accounts that it names come first, also while it is in
        maintenance; then the higher priority, then who came first. What needs no other model than
        the worker has loaded may come before that, within the limits of
        :mod:`domain.jobs.model_affinity`.

        :raises Refused: ``AnonForbiddenWorker``, ``PolymorphicNameConflict``,
            ``WrongCredentials`` (another account's worker), ``WorkerInviteOnly``,
            ``TooManyWorkers``, ``TooManyWorkersTrusted``,
            ``WorkerMaintenance`` or ``WorkerFlaggedMaintenance`` (with nothing for it), ``Locked``.
        """
        entry = self._workers.sign_in(command)
        if entry.paused:
            return NoJob(entry.worker_id)
        candidate = Candidate(
            worker_id=entry.worker_id,
            capabilities=command.capabilities,
            trusted=command.owner_trusted,
            slow=command.slow,
        )
        preferred = (command.owner_id, *command.prioritised)
        loaded = self._loaded_models.seen(entry.worker_id, command.loaded_model, self._core.now())
        found = self._core.retried(
            lambda: self._leasing.lease_best(entry, candidate, preferred, loaded)
        )
        if isinstance(found, NoJob) and entry.flagged:
            raise Refused("WorkerFlaggedMaintenance", _LOST_TOO_MUCH)
        if isinstance(found, NoJob) and entry.maintenance:
            if not entry.maintenance_message:
                raise Refused("WorkerMaintenance")
            raise Refused("WorkerMaintenance", reason=entry.maintenance_message)
        return found

    def may_upload(self, image_id: UUID) -> None:
        """Check that an image is awaited just now: its job is leased, and its lease not over.

        :raises Refused: ``InvalidJobID``, ``DuplicateGen`` or ``AbortedGen``.
        """
        job = self._endings.job(job_of(image_id))
        job.require_open(image_id)
        if self._core.now() >= job.lease_ends_at:
            raise Refused("AbortedGen")

    def submit_image(
        self,
        image_id: UUID,
        *,
        owner_id: UUID,
        digest: str | Callable[[], str],
        seed: int | None,
        state: ImageState,
        metadata: tuple[GenerationMetadata, ...] = (),
        provenance: Provenance | None = None,
    ) -> float:
        """Take one finished image from the account that runs its worker; return the reward.

        :param digest: SHA-256 of the image, which already lies in the blob store; or what puts it
            there and returns that. It is called once, and only when the image would be taken:
            what is refused leaves nothing.
        :param seed: which was used, 0 to 2^32 - 1; None for the job's.
        :param metadata: what the worker says about it.
        :param provenance: under what circumstances it was made; None where that is not known.
        :raises Refused: ``InvalidJobID``, ``WrongCredentials``, ``DuplicateGen``, ``AbortedGen``
            or ``Locked``.
        """

        stored = cache(digest if callable(digest) else lambda: digest)

        def submit_one() -> float:
            job = self._job_of(job_of(image_id), owner_id)
            job.require_open(image_id)
            reward = job.accept_image(
                image_id,
                digest=stored(),
                seed=job.seed if seed is None else seed,
                state=state,
                metadata=metadata,
                provenance=provenance,
                timestamp=self._core.now(),
            )
            self._endings.save_job(job)
            return reward

        return self._core.retried(submit_one)

    def fault_image(self, image_id: UUID, *, owner_id: UUID) -> None:
        """Note that a worker could not make one image of its batch.

        :raises Refused: as :meth:`submit_image` does.
        """

        def fault_one() -> None:
            job = self._job_of(job_of(image_id), owner_id)
            job.fault(image_id, timestamp=self._core.now())
            self._endings.save_job(job)

        self._core.retried(fault_one)

    def fail(self, job_id: UUID, *, owner_id: UUID, reason: str) -> None:
        """Fail a whole batch; its images that were not submitted wait again.

        :raises Refused: ``InvalidJobID``, ``WrongCredentials`` or ``Locked``.
        """

        def fail_one() -> None:
            job = self._job_of(job_id, owner_id)
            job.fail(reason, timestamp=self._core.now())
            self._endings.save_job(job)

        self._core.retried(fail_one)

    def expire_lease(self, job_id: UUID) -> None:
        """End a job's lease if its time is up; images that were not submitted wait again.

        :raises Refused: ``InvalidJobID`` or ``Locked``.
        """

        def expire_one() -> None:
            job = self._endings.job(job_id)
            job.expire_lease(timestamp=self._core.now())
            self._endings.save_job(job)

        self._core.retried(expire_one)

    def renew_lease(self, job_id: UUID, *, owner_id: UUID) -> datetime:
        """Give a job another lease as long as its first one, from now on; return when it ends.

        In all, its leases hold for ten times the first one at most; at that limit the end that is
        returned is the one it had.

        :raises Refused: ``InvalidJobID``, ``WrongCredentials``, ``Locked``, or ``AbortedGen`` when
            the job or its lease is over.
        """

        def renew_one() -> datetime:
            job = self._job_of(job_id, owner_id)
            now = self._core.now()
            latest = job.created_on + LEASES_IN_A_ROW * job.lease
            job.renew_lease(min(now + job.lease, latest), timestamp=now)
            self._core.save(job)
            return job.lease_ends_at

        return self._core.retried(renew_one)

    def record_progress(self, job_id: UUID, *, owner_id: UUID, step: int, steps: int) -> None:
        """Note how far a batch is, at most every ten seconds; over already is no error.

        :param step: denoising steps that are done, of ``steps`` in all.
        :raises Refused: ``InvalidJobID``, ``WrongCredentials`` or ``Locked``.
        """

        def record() -> None:
            job = self._job_of(job_id, owner_id)
            job.progress(step, steps, timestamp=self._core.now())
            self._core.save(job)

        self._core.retried(record)

    def _job_of(self, job_id: UUID, owner_id: UUID) -> Job:
        job = self._endings.job(job_id)
        if job.owner_id != owner_id:
            raise Refused("WrongCredentials")
        return job
