"""The tables of the status view, and how a tracked request becomes rows and comes back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    Uuid,
)

from domain.images.metadata import GenerationMetadata, MetadataType, MetadataValue
from domain.jobs.job import ImageState
from domain.requests.request import RequestState
from projections.sql.encoding import Instant, Name, requirements_from_json, requirements_to_json
from projections.status.fold import Generation, OpenJob, RequestStatus, Tracked

METADATA = MetaData()


REQUEST_STATUS = Table(
    "request_status",
    METADATA,
    Column("request_id", Uuid, primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("images", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),
    Column("finished", Integer, nullable=False),
    Column("restarted", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("kudos", Double, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("r2", Boolean, nullable=False),
    Column("priority", Double, nullable=False),
    Column("submitted_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("pixelsteps", BigInteger, nullable=False),
    Column("requirements", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("jobs", Text, nullable=False),
)
"""One request; ``jobs`` is JSON: by open job its version, worker's id and name, and model."""

REQUEST_GENERATION = Table(
    "request_generation",
    METADATA,
    Column("image_id", Uuid, primary_key=True),
    Column("request_id", Uuid, nullable=False),
    Column("job_id", Uuid, nullable=False),
    Column("batch_index", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("worker_id", Uuid, nullable=False),
    Column("worker_name", Name, nullable=False),
    Column("model", Name, nullable=False),
    Column("generated_at", Instant, nullable=False),
    Column("kudos", Double, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("metadata", Text, nullable=False),
    Index("request_generation_by_request", "request_id", "position"),
)
"""One delivered image; ``metadata`` is JSON: of each word its type, value and reference."""

REQUEST_OPEN_JOB = Table(
    "request_open_job",
    METADATA,
    Column("job_id", Uuid, primary_key=True),
    Column("request_id", Uuid, nullable=False),
)
"""Whose job it is, while more of it may come."""


def row_of(tracked: Tracked) -> dict[str, Any]:
    """Return the row of :data:`REQUEST_STATUS` for a request."""
    status = tracked.status
    return {
        "request_id": status.request_id,
        "account_id": status.account_id,
        "images": status.images,
        "waiting": status.waiting,
        "finished": status.finished,
        "restarted": status.restarted,
        "state": status.state.value,
        "kudos": status.kudos,
        "shared": status.shared,
        "r2": status.r2,
        "priority": status.priority,
        "submitted_at": status.submitted_at,
        "expires_at": status.expires_at,
        "pixelsteps": status.pixelsteps,
        "requirements": requirements_to_json(status.requirements),
        "version": tracked.version,
        "jobs": _text_of_jobs(tracked.jobs),
    }


def tracked_from(row: Mapping[str, Any]) -> Tracked:
    """Return the request whose row of :data:`REQUEST_STATUS` this is, without its images."""
    status = RequestStatus(
        request_id=row["request_id"],
        account_id=row["account_id"],
        images=row["images"],
        waiting=row["waiting"],
        finished=row["finished"],
        restarted=row["restarted"],
        state=RequestState(row["state"]),
        kudos=row["kudos"],
        shared=row["shared"],
        r2=row["r2"],
        priority=row["priority"],
        submitted_at=row["submitted_at"],
        expires_at=row["expires_at"],
        pixelsteps=row["pixelsteps"],
        requirements=requirements_from_json(row["requirements"]),
    )
    return Tracked(status, row["version"], _jobs_from(row["jobs"]) if row["jobs"] else {})


def row_of_generation(request_id: UUID, generation: Generation) -> dict[str, Any]:
    """Return the row of :data:`REQUEST_GENERATION` for a delivered image."""
    return {
        "image_id": generation.image_id,
        "request_id": request_id,
        "job_id": generation.job_id,
        "batch_index": generation.batch_index,
        "digest": generation.digest,
        "seed": generation.seed,
        "state": generation.state.value,
        "worker_id": generation.worker_id,
        "worker_name": generation.worker_name,
        "model": generation.model,
        "generated_at": generation.generated_at,
        "kudos": generation.kudos,
        "position": generation.position,
        "metadata": _text_of_metadata(generation.metadata),
    }


def generation_from(row: Row[Any]) -> Generation:
    """Return the delivered image whose row of :data:`REQUEST_GENERATION` this is."""
    return Generation(
        image_id=row.image_id,
        job_id=row.job_id,
        batch_index=row.batch_index,
        digest=row.digest,
        seed=row.seed,
        state=ImageState(row.state),
        worker_id=row.worker_id,
        worker_name=row.worker_name,
        model=row.model,
        generated_at=row.generated_at,
        kudos=row.kudos,
        position=row.position,
        metadata=_metadata_from(row.metadata) if row.metadata else (),
    )


def _text_of_metadata(metadata: Sequence[GenerationMetadata]) -> str:
    if not metadata:
        return ""
    words = [[word.type.value, word.value.value, word.ref] for word in metadata]
    return json.dumps(words, separators=(",", ":"))


def _metadata_from(text: str) -> tuple[GenerationMetadata, ...]:
    return tuple(
        GenerationMetadata(MetadataType(kind), MetadataValue(value), ref)
        for kind, value, ref in json.loads(text)
    )


def _text_of_jobs(jobs: Mapping[UUID, OpenJob]) -> str:
    if not jobs:
        return ""
    by_id = {
        job_id.hex: [
            job.version,
            None if job.worker_id is None else job.worker_id.hex,
            job.worker_name,
            job.model,
        ]
        for job_id, job in jobs.items()
    }
    return json.dumps(by_id, sort_keys=True, separators=(",", ":"))


def _jobs_from(text: str) -> dict[UUID, OpenJob]:
    return {
        UUID(job_id): OpenJob(version, worker_id and UUID(worker_id), worker_name, model)
        for job_id, (version, worker_id, worker_name, model) in json.loads(text).items()
    }
