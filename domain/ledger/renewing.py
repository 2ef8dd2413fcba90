"""Renewing: a worker that shows progress keeps its job for longer."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.jobs.lifetimes import LEASES_IN_A_ROW
from domain.ledger.delivering import DeliveringCommands


class RenewingCommands(DeliveringCommands):
    """What a worker does while a batch takes its time."""

    def renew_lease(self, job_id: UUID, *, owner_id: UUID) -> datetime:
        """Give a job another lease as long as its first one, from now on; return when it ends.

        In all, its leases hold for ten times the first one at most; at that limit the end that is
        returned is the one it had.

        :raises Refused: ``InvalidJobID``, ``WrongCredentials``, ``Locked``, or ``AbortedGen`` when
            the job or its lease is over.
        """

        def renew() -> datetime:
            job = self._job_of_owner(job_id, owner_id)
            now = self._clock.now()
            latest = job.created_on + LEASES_IN_A_ROW * job.lease
            job.renew_lease(min(now + job.lease, latest), timestamp=now)
            self.save(job)
            return job.lease_ends_at

        return self._retried(renew)

    def record_progress(self, job_id: UUID, *, owner_id: UUID, step: int, steps: int) -> None:
        """Note how far a batch is, at most every ten seconds; over already is no error.

        :param step: denoising steps that are done, of ``steps`` in all.
        :raises Refused: ``InvalidJobID``, ``WrongCredentials`` or ``Locked``.
        """

        def record() -> None:
            job = self._job_of_owner(job_id, owner_id)
            job.progress(step, steps, timestamp=self._clock.now())
            self.save(job)

        self._retried(record)
