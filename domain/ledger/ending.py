"""How requests and jobs end together: one transaction, whichever of them ended first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from domain.jobs.job import Job
from domain.ledger.base import LedgerBase
from domain.requests.request import Request


class EndRequest(Protocol):
    """A way in which a request ends early."""

    def __call__(self, *, delivered_by_open_jobs: int, timestamp: datetime) -> None:
        """End it, counting what its open jobs delivered already."""


class EndingCommands(LedgerBase):
    """What asking and working have in common."""

    def _save_with_request(self, job: Job) -> None:
        """Save a job and, if it just ended, what that means for its request, as one."""
        if job.is_leased or not job.pending_events:
            self.save(job)
            return
        now = self._clock.now()
        # Where there is one writer at a time, whoever is in the transaction loses no race.
        with self._transactions.transaction():
            request = self._request(job.request_id)
            request.return_job(
                job.id,
                delivered=len(job.delivered),
                lost=job.lost,
                expires_at=now + self._waiting(request),
                timestamp=now,
            )
            others = self._ended(request, request.fault) if request.should_fault else []
            self.save(job, request, *others)

    def _end_request(self, request: Request, end: EndRequest) -> None:
        """End a request early, and with it the jobs that still work on it."""
        jobs = self._ended(request, end)
        self.save(request, *jobs)

    def _ended(self, request: Request, end: EndRequest) -> Sequence[Job]:
        """End a request early without saving it, and return its open jobs, cancelled."""
        now = self._clock.now()
        jobs = [self._job(job_id) for job_id in request.open_jobs]
        end(delivered_by_open_jobs=sum(len(job.delivered) for job in jobs), timestamp=now)
        for job in jobs:
            job.cancel(timestamp=now)
        return jobs
