"""Events of requests and jobs, made of the stored samples, for tests that need just any."""

from __future__ import annotations

import json
from typing import Any, TypeVar
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from domain.jobs.job import Job
from domain.requests.request import Request
from infrastructure.storage.event_mapper import EventMapper
from tests.paths import ROOT

_SAMPLES = ROOT / "tests" / "samples" / "events"

Event = TypeVar("Event")


def submitted(request_id: UUID) -> Request.Submitted:
    """A request was taken."""
    return _made(Request.Submitted, "Request.Submitted.v4", request_id)


def sliced(request_id: UUID, job_id: UUID) -> Request.Sliced:
    """A job took images of it."""
    return _made(Request.Sliced, "Request.Sliced.v2", request_id, job_id=str(job_id))


def cancelled(request_id: UUID) -> Request.Cancelled:
    """A request was cancelled."""
    return _made(Request.Cancelled, "Request.Cancelled.v2", request_id)


def batched(job_id: UUID, request_id: UUID) -> Job.Batched:
    """A worker took a job."""
    return _made(Job.Batched, "Job.Batched.v2", job_id, request_id=str(request_id))


def progressed(job_id: UUID) -> Job.Progressed:
    """A job came further."""
    return _made(Job.Progressed, "Job.Progressed.v1", job_id)


def image_generated(job_id: UUID) -> Job.ImageGenerated:
    """A job made an image."""
    return _made(Job.ImageGenerated, "Job.ImageGenerated.v3", job_id)


def _made(kind: type[Event], sample: str, originator_id: UUID, **changed: Any) -> Event:
    stored = json.loads((_SAMPLES / f"{sample}.json").read_text())
    event = EventMapper().to_domain_event(
        StoredEvent(
            originator_id,
            stored["originator_version"],
            stored["topic"],
            json.dumps(stored["state"] | changed).encode(),
        )
    )
    assert isinstance(event, kind)
    return event
