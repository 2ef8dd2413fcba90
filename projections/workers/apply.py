"""How events change the workers view: declared, made, earned, lost, measured speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Connection,
    Table,
)

from domain.jobs.job import Job
from domain.workers.worker import Worker, WorkerKind
from projections.jobs.open_jobs import JobFacts, OpenJobs, moved_average
from projections.sql.bulk import Bulk
from projections.view import RecordedEvent
from projections.workers.record import LOSSES_WITHIN, WorkerRecord, record_from, row_of
from projections.workers.tables import METADATA, WORKER_RECORD

_records = Bulk(WORKER_RECORD)

_work = OpenJobs("worker", METADATA)


class WorkersView:
    """Follows the workers and what became of their jobs."""

    name = "workers"
    tables: Sequence[Table] = (WORKER_RECORD, *_work.tables)

    def apply(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        """Count these events."""
        traced = {id(event): job for event, job in _work.trace(connection, records)}
        concerned: list[tuple[UUID, Worker.Event | Job.Event, JobFacts | None]] = []
        for record in records:
            event = record.event
            if isinstance(event, Worker.Event):
                concerned.append((event.originator_id, event, None))
            elif isinstance(event, Job.Event):
                job = traced[id(event)]
                concerned.append((job.worker_id, event, job))
        before = {
            row["worker_id"]: record_from(row)
            for row in _records.by_key(connection, {entry[0] for entry in concerned})
        }
        after = dict(before)
        for worker_id, concerning, in_hand in concerned:
            after[worker_id] = _evolve(after.get(worker_id), concerning, in_hand)
        changed = [
            row_of(record)
            for worker_id, record in after.items()
            if record is not before.get(worker_id)
        ]
        _records.put(connection, changed)


def _evolve(
    record: WorkerRecord | None, event: Worker.Event | Job.Event, job: JobFacts | None
) -> WorkerRecord:
    if isinstance(event, Worker.Registered):
        return WorkerRecord(
            worker_id=event.originator_id,
            name=event.name,
            owner_id=event.owner_id,
            capabilities=event.capabilities,
            maintenance=False,
            paused=False,
            registered_at=event.timestamp,
            in_cluster=event.kind is WorkerKind.IN_CLUSTER,
        )
    assert record is not None
    match event:
        case Worker.CapabilitiesDeclared():
            return replace(record, capabilities=event.capabilities)
        case Worker.MaintenanceChanged():
            return replace(record, maintenance=event.maintenance)
        case Worker.FlaggedForMaintenance():
            return replace(record, maintenance=True, lost_lately=0, losing_since=None)
        case Worker.Renamed():
            return replace(record, name=event.name)
        case Worker.Deleted():
            return replace(record, deleted=True)
        case Worker.PauseChanged():
            return replace(record, paused=event.paused)
    return record if job is None else _with_job_event(record, event, job)


def _with_job_event(
    record: WorkerRecord, event: Worker.Event | Job.Event, job: JobFacts
) -> WorkerRecord:
    if isinstance(event, Job.Ended):
        seconds = job.seconds_until(event.timestamp)
        record = replace(record, seconds=record.seconds + seconds)
    match event:
        case Job.Batched():
            return replace(record, last_job_at=event.timestamp)
        case Job.ImageGenerated():
            return replace(
                record,
                images=record.images + 1,
                pixelsteps=record.pixelsteps + job.pixelsteps,
                kudos=record.kudos + event.kudos,
            )
        case Job.Completed():
            work = event.delivered * job.pixelsteps / 1_000_000
            measured = work / job.seconds_until(event.timestamp)
            return replace(
                record, jobs=record.jobs + 1, speed=moved_average(record.speed, measured)
            )
        case Job.Failed() | Job.LeaseExpired():
            return _with_loss(record, event.timestamp)
    return record


def _with_loss(record: WorkerRecord, lost_at: datetime) -> WorkerRecord:
    """Count a lost job, within the hour that began with the first one: the AI Horde's rule."""
    since, lately = record.losing_since, record.lost_lately
    if since is None or lost_at - since > LOSSES_WITHIN:
        since, lately = lost_at, 0
    return replace(
        record,
        uncompleted_jobs=record.uncompleted_jobs + 1,
        losing_since=since,
        lost_lately=lately + 1,
    )
