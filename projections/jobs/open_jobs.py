"""Open jobs, for views that say what was made, how fast and by whom; moving averages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Uuid

from domain.jobs.job import Job
from projections.sql.bulk import Bulk
from projections.sql.encoding import Instant, Name, kept_name
from projections.view import NotFollowing, RecordedEvent

_NEWEST = 0.2


def moved_average(average: float | None, measure: float) -> float:
    """Return an average with one more measure in it; the first measure is the average."""
    return measure if average is None else average + _NEWEST * (measure - average)


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What must be known of a job to count its images."""

    job_id: UUID
    worker_id: UUID
    model: str
    pixelsteps: int
    """The work of one image: denoiser passes times pixels."""
    batched_at: datetime

    def seconds_until(self, moment: datetime) -> float:
        """Return how long the worker had it, at least a millisecond."""
        return max((moment - self.batched_at).total_seconds(), 0.001)


class OpenJobs:
    """A table of one view: the jobs of which more may come."""

    def __init__(self, prefix: str, metadata: MetaData) -> None:
        """Name the table after the view."""
        self._jobs = Table(
            f"{prefix}_open_job",
            metadata,
            Column("job_id", Uuid, primary_key=True),
            Column("worker_id", Uuid, nullable=False),
            Column("model", Name, nullable=False),
            Column("pixelsteps", BigInteger, nullable=False),
            Column("batched_at", Instant, nullable=False),
        )
        self._rows = Bulk(self._jobs)

    @property
    def tables(self) -> Sequence[Table]:
        """The table."""
        return (self._jobs,)

    def trace(
        self, connection: Connection, records: Sequence[RecordedEvent]
    ) -> Sequence[tuple[Job.Event, JobFacts]]:
        """Return the job events among these with their jobs, and store what is open now.

        :raises NotFollowing: when an event came without those that must stand before it.
        """
        events = [record.event for record in records if isinstance(record.event, Job.Event)]
        jobs = self._known_jobs(connection, events)
        stored, over = set(jobs), set[UUID]()
        traced: list[tuple[Job.Event, JobFacts]] = []
        for event in events:
            job_id = event.originator_id
            if isinstance(event, Job.Batched):
                jobs[job_id] = _batched(event)
            if job_id not in jobs:
                raise NotFollowing(f"{type(event).__qualname__} of an unknown job")
            traced.append((event, jobs[job_id]))
            if isinstance(event, Job.Ended):
                over.add(job_id)
        fresh = [_row(job) for job in jobs.values() if job.job_id not in stored | over]
        self._rows.insert(connection, fresh)
        self._rows.delete(connection, stored & over)
        return traced

    def _known_jobs(
        self, connection: Connection, events: Sequence[Job.Event]
    ) -> dict[UUID, JobFacts]:
        batched = {e.originator_id for e in events if isinstance(e, Job.Batched)}
        asked = {e.originator_id for e in events} - batched
        return {row["job_id"]: JobFacts(**row) for row in self._rows.by_key(connection, asked)}


def _batched(event: Job.Batched) -> JobFacts:
    return JobFacts(
        job_id=event.originator_id,
        worker_id=event.worker_id,
        model=kept_name(event.model),
        pixelsteps=event.pixelsteps,
        batched_at=event.timestamp,
    )


def _row(job: JobFacts) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "worker_id": job.worker_id,
        "model": job.model,
        "pixelsteps": job.pixelsteps,
        "batched_at": job.batched_at,
    }
