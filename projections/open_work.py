"""The requests and jobs in hand, for views that say what was made, how fast and by whom.

A job's event names neither the size of its images nor its worker; this remembers them for as long
as more of the job may come. Each view that wants it has tables of its own, so that each can be
rebuilt without the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Uuid

from domain.job import Job
from domain.request import Request
from projections.columns import Name, kept_name
from projections.encoding import Instant
from projections.rows import delete_rows, insert_rows, rows_by_key
from projections.status_fold import NotFollowing
from projections.view import Recorded


@dataclass(frozen=True, slots=True)
class JobInHand:
    """What one has to know of a job to say what its images were worth."""

    job_id: UUID
    worker_id: UUID
    model: str
    pixelsteps: int
    """The work of one image: denoiser passes times pixels."""
    batched_at: datetime

    def seconds_until(self, moment: datetime) -> float:
        """Return how long the worker had it, at least a millisecond."""
        return max((moment - self.batched_at).total_seconds(), 0.001)


class OpenWork:
    """Two tables of one view: open requests, and jobs of which more may come."""

    def __init__(self, prefix: str, metadata: MetaData) -> None:
        """Name the tables after the view."""
        self._requests = Table(
            f"{prefix}_open_request",
            metadata,
            Column("request_id", Uuid, primary_key=True),
            Column("pixelsteps", BigInteger, nullable=False),
        )
        self._jobs = Table(
            f"{prefix}_open_job",
            metadata,
            Column("job_id", Uuid, primary_key=True),
            Column("worker_id", Uuid, nullable=False),
            Column("model", Name, nullable=False),
            Column("pixelsteps", BigInteger, nullable=False),
            Column("batched_at", Instant, nullable=False),
        )

    @property
    def tables(self) -> Sequence[Table]:
        """Both tables."""
        return (self._requests, self._jobs)

    def trace(
        self, connection: Connection, records: Sequence[Recorded]
    ) -> Sequence[tuple[Job.Event, JobInHand]]:
        """Return the job events among these with their jobs, and remember what is open now.

        :raises NotFollowing: when an event came without those that must stand before it.
        """
        events = [record.event for record in records]
        requests = self._known_requests(connection, events)
        jobs = self._known_jobs(connection, events)
        stored_requests, stored_jobs = set(requests), set(jobs)
        over: set[UUID] = set()
        traced: list[tuple[Job.Event, JobInHand]] = []
        for event in events:
            stream = event.originator_id
            if isinstance(event, Request.Submitted):
                requests[stream] = event.settings.counted_steps * event.settings.pixels
            elif isinstance(event, Request.Ended):
                over.add(stream)
            elif isinstance(event, Job.Event):
                if isinstance(event, Job.Batched):
                    jobs[stream] = _batched(event, requests)
                if stream not in jobs:
                    raise NotFollowing(f"{type(event).__qualname__} of an unknown job")
                traced.append((event, jobs[stream]))
                if isinstance(event, Job.Ended):
                    over.add(stream)
        insert_rows(
            connection,
            self._requests,
            [
                {"request_id": request_id, "pixelsteps": pixelsteps}
                for request_id, pixelsteps in requests.items()
                if request_id not in stored_requests | over
            ],
        )
        insert_rows(
            connection,
            self._jobs,
            [_row(job) for job in jobs.values() if job.job_id not in stored_jobs | over],
        )
        delete_rows(connection, self._requests, [{"request_id": r} for r in over - stored_jobs])
        delete_rows(connection, self._jobs, [{"job_id": job} for job in stored_jobs & over])
        return traced

    def _known_requests(self, connection: Connection, events: Sequence[Any]) -> dict[UUID, int]:
        submitted = {e.originator_id for e in events if isinstance(e, Request.Submitted)}
        asked = {e.request_id for e in events if isinstance(e, Job.Batched)} - submitted
        return {
            row.request_id: row.pixelsteps for row in rows_by_key(connection, self._requests, asked)
        }

    def _known_jobs(self, connection: Connection, events: Sequence[Any]) -> dict[UUID, JobInHand]:
        batched = {e.originator_id for e in events if isinstance(e, Job.Batched)}
        asked = {e.originator_id for e in events if isinstance(e, Job.Event)} - batched
        return {
            row.job_id: JobInHand(**row._mapping)
            for row in rows_by_key(connection, self._jobs, asked)
        }


def _batched(event: Job.Batched, requests: dict[UUID, int]) -> JobInHand:
    if event.request_id not in requests:
        raise NotFollowing("a job of an unknown request")
    return JobInHand(
        job_id=event.originator_id,
        worker_id=event.worker_id,
        model=kept_name(event.model),
        pixelsteps=requests[event.request_id],
        batched_at=event.timestamp,
    )


def _row(job: JobInHand) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "worker_id": job.worker_id,
        "model": job.model,
        "pixelsteps": job.pixelsteps,
        "batched_at": job.batched_at,
    }
