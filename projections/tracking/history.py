"""The whole history of one request, read from the log: for streams that resume and for webhooks.

It is the log itself, so it is exact whatever the views hold; a request has some sixty events.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from domain.jobs.job import Job
from domain.requests.request import Request
from projections.view import Log, RecordedEvent


@dataclass(slots=True)
class RequestHistory:
    """The events of a request and of its jobs, as far as they were added."""

    submitted: Request.Submitted
    batched: dict[UUID, Job.Batched] = field(default_factory=dict)
    """The first event of each of its jobs."""
    burnt: float = 0.0
    """Kudos that it has burnt."""
    records: list[RecordedEvent] = field(default_factory=list)
    """In log order."""

    @classmethod
    def read(cls, log: Log, request_id: UUID) -> Self | None:
        """Return all that is committed of a request; None when there is no such request."""
        own = log.tails({request_id: 0})
        if not own or not isinstance(own[0].event, Request.Submitted):
            return None
        sliced = {
            record.event.job_id: 0 for record in own if isinstance(record.event, Request.Sliced)
        }
        jobs = log.tails(sliced) if sliced else ()
        history = cls(own[0].event)
        for record in sorted([*own, *jobs], key=_position):
            history.add(record)
        return history

    def add(self, record: RecordedEvent) -> None:
        """Add the next event of the request or of one of its jobs."""
        event = record.event
        if isinstance(event, Job.Batched):
            self.batched[event.originator_id] = event
        elif isinstance(event, Request.JobReturned | Request.Ended):
            self.burnt += event.burnt
        self.records.append(record)

    @property
    def request_id(self) -> UUID:
        """The request's id."""
        return self.submitted.originator_id


def _position(record: RecordedEvent) -> int:
    return record.position
