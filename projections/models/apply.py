"""How events change the models view: waiting work, images made, speed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table

from domain.jobs.job import Job
from domain.requests.request import Request
from projections.jobs.open_jobs import JobFacts, OpenJobs, moved_average
from projections.models.record import ModelRecord
from projections.models.tables import ANY_MODEL, METADATA, MODEL_RECORD, MODEL_REQUEST
from projections.sql.bulk import Bulk
from projections.sql.encoding import kept_name
from projections.view import RecordedEvent

_work = OpenJobs("model", METADATA)


_records, _requests = Bulk(MODEL_RECORD), Bulk(MODEL_REQUEST)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request that is not over."""

    models: tuple[str, ...]
    waiting: int
    pixelsteps: int

    def counted_in(self, record: ModelRecord, sign: int) -> ModelRecord:
        """Put it among what waits for a model (sign 1), or take it out (sign -1)."""
        if not self.waiting:
            return record
        return replace(
            record,
            waiting_requests=record.waiting_requests + sign,
            waiting_images=record.waiting_images + sign * self.waiting,
            waiting_pixelsteps=record.waiting_pixelsteps + sign * self.waiting * self.pixelsteps,
        )


class ModelsView:
    """Follows what waits for each model and what is made with it."""

    name = "models"
    tables: Sequence[Table] = (MODEL_RECORD, MODEL_REQUEST, *_work.tables)

    def apply(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        """Count these events."""
        traced = _work.trace(connection, records)
        events = [record.event for record in records if isinstance(record.event, Request.Event)]
        before = _waiting(connection, {event.originator_id for event in events})
        after = dict(before)
        for event in events:
            _evolve(after, event)
        _write_requests(connection, before, after)

        names = {job.model for _, job in traced}
        for request in (*before.values(), *after.values()):
            names.update(request.models)
        rows = _records.by_key(connection, names)
        known = {row["model"]: ModelRecord(**row) for row in rows}
        changed = {name: known.get(name, ModelRecord(name)) for name in names}
        for requests, sign in ((before, -1), (after, 1)):
            for request in requests.values():
                for model in request.models:
                    changed[model] = request.counted_in(changed[model], sign)
        for job_event, job in traced:
            changed[job.model] = _with_job_event(changed[job.model], job_event, job)
        _write_models(connection, known, changed)


def _waiting(connection: Connection, requests: set[UUID]) -> dict[UUID, _Waiting]:
    return {
        row["request_id"]: _Waiting(
            tuple(json.loads(row["models"])), row["waiting"], row["pixelsteps"]
        )
        for row in _requests.by_key(connection, requests)
    }


def _evolve(requests: dict[UUID, _Waiting], event: Request.Event) -> None:
    request_id = event.originator_id
    match event:
        case Request.Submitted():
            models = sorted({kept_name(model) for model in event.requirements.models})
            requests[request_id] = _Waiting(
                models=tuple(models) or (ANY_MODEL,),
                waiting=event.images,
                pixelsteps=event.settings.pixelsteps,
            )
        case Request.Sliced():
            requests[request_id] = replace(requests[request_id], waiting=event.remaining)
        case Request.JobReturned():
            request = requests[request_id]
            requests[request_id] = replace(request, waiting=request.waiting + event.lost)
        case Request.Ended():
            del requests[request_id]


def _with_job_event(record: ModelRecord, event: Job.Event, job: JobFacts) -> ModelRecord:
    match event:
        case Job.ImageGenerated():
            return replace(
                record,
                images=record.images + 1,
                pixelsteps=record.pixelsteps + job.pixelsteps,
            )
        case Job.Completed() if event.delivered:
            seconds = job.seconds_until(event.timestamp)
            work = event.delivered * job.pixelsteps / 1_000_000
            return replace(
                record,
                speed=moved_average(record.speed, work / seconds),
                seconds_per_image=moved_average(
                    record.seconds_per_image, seconds / event.delivered
                ),
            )
    return record


def _write_requests(
    connection: Connection, before: Mapping[UUID, _Waiting], after: Mapping[UUID, _Waiting]
) -> None:
    rows: list[dict[str, Any]] = [
        {
            "request_id": request_id,
            "models": json.dumps(request.models),
            "waiting": request.waiting,
            "pixelsteps": request.pixelsteps,
        }
        for request_id, request in after.items()
        if before.get(request_id) != request
    ]
    _requests.put(connection, rows)
    _requests.delete(connection, before.keys() - after.keys())


def _write_models(
    connection: Connection, known: Mapping[str, ModelRecord], changed: Mapping[str, ModelRecord]
) -> None:
    def row(record: ModelRecord) -> dict[str, Any]:
        return {column.name: getattr(record, column.name) for column in MODEL_RECORD.columns}

    different = {name: record for name, record in changed.items() if known.get(name) != record}
    kept = {name: row(record) for name, record in different.items() if not record.is_empty}
    _records.put(connection, kept.values())
    _records.delete(connection, (different.keys() - kept.keys()) & known.keys())
