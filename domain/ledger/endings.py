"""How requests and jobs end together: one transaction, whichever of them ended first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.jobs.job import Job
from domain.jobs.leases import Lifetimes
from domain.ledger.core import Core
from domain.requests.request import Request


class EndRequest(Protocol):
    """A way in which a request ends early."""

    def __call__(self, *, delivered_by_open_jobs: int, timestamp: datetime) -> None:
        """End it, counting what was submitted for its open jobs already."""


class Endings:
    """Ends requests and jobs, each with what that means for the other."""

    def __init__(self, core: Core, lifetimes: Lifetimes) -> None:
        """Let requests wait as these lifetimes say."""
        self._core = core
        self._lifetimes = lifetimes

    def request(self, request_id: UUID) -> Request:
        """Return a request.

        :raises Refused: ``RequestNotFound``.
        """
        return self._core.load(Request, request_id, "RequestNotFound")

    def job(self, job_id: UUID) -> Job:
        """Return a job.

        :raises Refused: ``InvalidJobID``.
        """
        return self._core.load(Job, job_id, "InvalidJobID")

    def waiting(self, request: Request) -> timedelta:
        """Return how long a request may wait after its last activity."""
        return self._lifetimes.waiting(
            extra_slow_workers=request.submitted.requirements.extra_slow_workers
        )

    def save_job(self, job: Job) -> None:
        """Save a job and, if it just ended, what that means for its request, as one."""
        if job.is_leased or not job.pending_events:
            self._core.save(job)
            return
        now = self._core.now()
        # Where there is one writer at a time, a transaction that has begun loses no race.
        with self._core.transaction():
            request = self.request(job.request_id)
            request.return_job(
                job.id,
                delivered=len(job.delivered),
                lost=job.lost,
                expires_at=now + self.waiting(request),
                timestamp=now,
            )
            others = self._ended(request, request.fault) if request.should_fault else []
            self._core.save(job, request, *others)

    def end_request(self, request: Request, end: EndRequest) -> None:
        """End a request early, and with it the jobs that still work on it, and save them."""
        jobs = self._ended(request, end)
        self._core.save(request, *jobs)

    def _ended(self, request: Request, end: EndRequest) -> Sequence[Job]:
        """End a request early without saving it, and return its open jobs, cancelled."""
        now = self._core.now()
        jobs = [self.job(job_id) for job_id in request.open_jobs]
        end(delivered_by_open_jobs=sum(len(job.delivered) for job in jobs), timestamp=now)
        for job in jobs:
            job.cancel(timestamp=now)
        return jobs
