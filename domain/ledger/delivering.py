"""Delivering: a worker hands its images in, or gives them up; a lease ends."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from uuid import UUID

from domain.images.metadata import GenerationMetadata
from domain.images.provenance import Provenance
from domain.jobs.image_ids import job_of
from domain.jobs.job import ImageState, Job
from domain.ledger.ending import EndingCommands
from domain.return_codes import Refused
from domain.workers.worker import Worker


class DeliveringCommands(EndingCommands):
    """What a worker with a job does, and what is done when it does nothing."""

    def may_upload(self, image_id: UUID) -> None:
        """Check that an image is awaited just now: its job is leased, and its lease not over.

        :raises Refused: ``InvalidJobID``, ``DuplicateGen`` or ``AbortedGen``.
        """
        job = self._job(job_of(image_id))
        job.require_open(image_id)
        if self._clock.now() >= job.lease_ends_at:
            raise Refused("AbortedGen")

    def submit_image(
        self,
        image_id: UUID,
        *,
        owner_id: UUID,
        digest: str | Callable[[], str],
        seed: int,
        state: ImageState,
        metadata: tuple[GenerationMetadata, ...] = (),
        making: Provenance | None = None,
    ) -> float:
        """Take one finished image from the account that runs its worker; return the reward.

        :param digest: SHA-256 of the image, which already lies in the blob store; or what puts it
            there and returns that. It is called once, and only when the image would be taken:
            what is refused leaves nothing.
        :param metadata: what the worker says about it.
        :param making: under what circumstances it was made; None where the worker does not tell.
        :raises Refused: ``InvalidJobID``, ``WrongCredentials``, ``DuplicateGen``, ``AbortedGen``
            or ``Locked``.
        """

        stored = cache(digest if callable(digest) else lambda: digest)

        def submit() -> float:
            job = self._job_of_owner(job_of(image_id), owner_id)
            job.require_open(image_id)
            reward = job.deliver(
                image_id,
                digest=stored(),
                seed=seed,
                state=state,
                metadata=metadata,
                making=making,
                timestamp=self._clock.now(),
            )
            self._save_with_request(job)
            return reward

        return self._retried(submit)

    def fault_image(self, image_id: UUID, *, owner_id: UUID) -> None:
        """Note that a worker could not make one image of its batch.

        :raises Refused: as :meth:`submit_image` does.
        """

        def fault() -> None:
            job = self._job_of_owner(job_of(image_id), owner_id)
            job.fault(image_id, timestamp=self._clock.now())
            self._save_with_request(job)

        self._retried(fault)

    def fail_job(self, job_id: UUID, *, owner_id: UUID, reason: str) -> None:
        """Give a whole batch up; what it did not deliver waits again.

        :raises Refused: ``InvalidJobID``, ``WrongCredentials`` or ``Locked``.
        """

        def fail() -> None:
            job = self._job_of_owner(job_id, owner_id)
            job.fail(reason, timestamp=self._clock.now())
            self._save_with_request(job)

        self._retried(fail)

    def expire_lease(self, job_id: UUID) -> None:
        """End a job's lease if its time is up; what it did not deliver waits again.

        :raises Refused: ``InvalidJobID`` or ``Locked``.
        """

        def expire() -> None:
            job = self._job(job_id)
            job.expire_lease(timestamp=self._clock.now())
            self._save_with_request(job)

        self._retried(expire)

    def flag_worker(self, worker_id: UUID, *, lost: int) -> None:
        """Put a worker into maintenance because it lost so many jobs; its owner can end that.

        One that is in maintenance, or gone, is no error.

        :raises Refused: ``WorkerNotFound`` or ``Locked``.
        """

        def flag() -> None:
            worker = self._load(Worker, worker_id, "WorkerNotFound")
            if not worker.deleted:
                worker.flag(lost, timestamp=self._clock.now())
                self.save(worker)

        self._retried(flag)

    def _job_of_owner(self, job_id: UUID, owner_id: UUID) -> Job:
        job = self._job(job_id)
        if job.owner_id != owner_id:
            raise Refused("WrongCredentials")
        return job
