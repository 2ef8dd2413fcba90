"""The workers: what each declared, made and earned, and how fast it was measured to be."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    bindparam,
    select,
)

from domain.jobs.job import Job
from domain.workers.matching import Capabilities
from domain.workers.worker import Worker, WorkerKind
from projections.jobs.open_jobs import JobFacts, OpenJobs, moved_average
from projections.sql.bulk import Bulk
from projections.sql.cached import CachedAnswer
from projections.sql.encoding import Instant, Name, capabilities_from_json, capabilities_to_json
from projections.view import RecordedEvent, ViewDatabase

METADATA = MetaData()

WORKER_RECORD = Table(
    "worker_record",
    METADATA,
    Column("worker_id", Uuid, primary_key=True),
    Column("name", Name, nullable=False),
    Column("owner_id", Uuid, nullable=False),
    Column("capabilities", Text, nullable=False),
    Column("maintenance", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("registered_at", Instant, nullable=False),
    Column("jobs", Integer, nullable=False),
    Column("uncompleted_jobs", Integer, nullable=False),
    Column("images", Integer, nullable=False),
    Column("pixelsteps", BigInteger, nullable=False),
    Column("kudos", Double, nullable=False),
    Column("speed", Double),
    Column("seconds", Double, nullable=False),
    Column("last_job_at", Instant),
    Column("in_cluster", Boolean, nullable=False),
    Column("lost_lately", Integer, nullable=False),
    Column("losing_since", Instant, index=True),
)
"""One worker; ``speed`` is in megapixelsteps a second, NULL until it was measured."""

SLOWEST_FAST_SPEED = 0.5
"""Megapixelsteps a second that a worker has to exceed not to count as slow: the v2 API's limit."""

LOSSES_WITHIN = timedelta(hours=1)
"""How long lost jobs are counted together."""

_SPEED_SECONDS = 5.0
"""How old a measured speed that decides over slowness can be."""

_work = OpenJobs("worker", METADATA)
_records = Bulk(WORKER_RECORD)
_COLUMNS = [column.name for column in WORKER_RECORD.columns]


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """What is known of a worker."""

    worker_id: UUID
    name: str
    owner_id: UUID
    capabilities: Capabilities
    maintenance: bool
    paused: bool
    registered_at: datetime
    deleted: bool = False
    """Whether it was struck from the list; what it made still counts."""
    jobs: int = 0
    """Jobs that it completed."""
    uncompleted_jobs: int = 0
    """Jobs that it gave up or let run out of time."""
    images: int = 0
    pixelsteps: int = 0
    """Denoiser passes times pixels of all images that it made."""
    kudos: float = 0.0
    """What its owner earned for these images."""
    speed: float | None = None
    """Megapixelsteps a second, a moving average over its jobs; None until it completed one."""
    seconds: float = 0.0
    """How long it had its jobs in hand, until each ended."""
    last_job_at: datetime | None = None
    in_cluster: bool = False
    """Whether it is a process of the installation itself."""
    lost_lately: int = 0
    """Jobs that it lost within an hour of :attr:`losing_since`, since it was last flagged."""
    losing_since: datetime | None = None

    @property
    def megapixelsteps(self) -> float:
        """Denoiser passes times millions of pixels of all images that it made."""
        return self.pixelsteps / 1_000_000


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
            row["worker_id"]: _record_from(row)
            for row in _records.by_key(connection, {entry[0] for entry in concerned})
        }
        after = dict(before)
        for worker_id, concerning, in_hand in concerned:
            after[worker_id] = _evolve(after.get(worker_id), concerning, in_hand)
        changed = [
            _row_of(record)
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


def _row_of(record: WorkerRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _COLUMNS} | {
        "capabilities": capabilities_to_json(record.capabilities)
    }


def _record_from(row: Mapping[str, Any]) -> WorkerRecord:
    capabilities = capabilities_from_json(row["capabilities"])
    return WorkerRecord(**{**row, "capabilities": capabilities})


_ONE = select(WORKER_RECORD).where(WORKER_RECORD.c.worker_id == bindparam("worker"))
_ALL = (
    select(WORKER_RECORD)
    .where(~WORKER_RECORD.c.deleted)
    .order_by(WORKER_RECORD.c.registered_at, WORKER_RECORD.c.worker_id)
)
_SPEED = select(WORKER_RECORD.c.speed).where(WORKER_RECORD.c.worker_id == bindparam("worker"))


class WorkersReader:
    """Answers about workers."""

    def __init__(self, database: ViewDatabase, clock: Callable[[], float] = time.monotonic) -> None:
        """Read from the views' database.

        :param clock: seconds of a clock that never goes back.
        """
        self._database = database
        self._speeds: CachedAnswer[UUID, float | None] = CachedAnswer(
            self._read_speed, seconds=_SPEED_SECONDS, most=10_000, clock=clock
        )

    def worker(self, worker_id: UUID) -> WorkerRecord | None:
        """Return what is known of a worker."""
        with self._database.reading() as connection:
            row = connection.execute(_ONE, {"worker": worker_id}).first()
        return None if row is None else _record_from(row._asdict())

    def records(self, worker_ids: Collection[UUID]) -> Mapping[UUID, WorkerRecord]:
        """Return what is known of each of these workers; those of which nothing is are left out."""
        with self._database.reading() as connection:
            rows = _records.by_key(connection, worker_ids)
        return {row["worker_id"]: _record_from(row) for row in rows}

    def all(self) -> Sequence[WorkerRecord]:
        """Return all workers that were not deleted, the first registered first."""
        with self._database.reading() as connection:
            return [_record_from(row._asdict()) for row in connection.execute(_ALL)]

    def losing(self, more_than: int, now: datetime) -> Mapping[UUID, int]:
        """Return the remote workers that lost more jobs than this of late, and how many each.

        Those that are in maintenance are left out.
        """
        found = select(WORKER_RECORD.c.worker_id, WORKER_RECORD.c.lost_lately).where(
            WORKER_RECORD.c.losing_since >= now - LOSSES_WITHIN,
            WORKER_RECORD.c.lost_lately > more_than,
            ~WORKER_RECORD.c.in_cluster,
            ~WORKER_RECORD.c.maintenance,
            ~WORKER_RECORD.c.deleted,
        )
        with self._database.reading() as connection:
            return {row.worker_id: row.lost_lately for row in connection.execute(found)}

    def speed_of(self, worker_id: UUID) -> float | None:
        """Return a worker's speed in megapixelsteps a second, up to five seconds old.

        None when nobody has measured it yet.
        """
        return self._speeds(worker_id)

    def is_slow(self, worker_id: UUID) -> bool:
        """Whether it was measured at half a megapixelstep a second or less."""
        speed = self.speed_of(worker_id)
        return speed is not None and speed <= SLOWEST_FAST_SPEED

    def _read_speed(self, worker_id: UUID) -> float | None:
        with self._database.reading() as connection:
            speed: float | None = connection.execute(_SPEED, {"worker": worker_id}).scalar()
        return speed
