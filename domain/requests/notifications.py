"""Notifications: sent to clients while a request is made, in a stream or by webhook."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from eventsourcing.domain import Aggregate

from domain.jobs.job import Job
from domain.requests.request import Request
from domain.webhooks.kinds import NotificationKind


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing that happened to a request, as clients are notified of it."""

    kind: NotificationKind
    request_id: UUID
    about: UUID
    """The image for an image, the job for a start or progress, the request for all else."""
    happened_at: datetime
    step: int | None = None
    """For progress, how far the job was; None for all else."""


def notification_of(event: Aggregate.Event, request_id: UUID) -> Notification | None:
    """Return the notification of an event; None for none.

    :param request_id: the request that it belongs to.
    """
    kind: NotificationKind
    about, step = request_id, None
    match event:
        case Request.Submitted():
            kind = NotificationKind.QUEUED
        case Request.JobReturned() if event.lost:
            kind = NotificationKind.QUEUED
        case Request.Ended():
            kind = NotificationKind.ENDED
        case Job.Batched():
            kind, about = NotificationKind.STARTED, event.originator_id
        case Job.Progressed():
            kind, about, step = NotificationKind.PROGRESS, event.originator_id, event.step
        case Job.ImageGenerated():
            kind, about = NotificationKind.IMAGE, event.image_id
        case _:
            return None
    return Notification(kind, request_id, about, event.timestamp, step)
