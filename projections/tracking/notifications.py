"""Which events clients are notified of, and what each notification says, in webhooks and streams.

All of it follows from the history up to that event, so a notification that is sent twice says the
same; only the address of an image is signed anew. A new kind that an event of a request or of
one of its jobs causes is added here alone: its name, that event, and its data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from eventsourcing.domain import Aggregate

from domain.accounts.kudos import hundredths, kudos_from
from domain.jobs.job import Job
from domain.requests.request import Request, RequestState
from domain.webhooks.notification import Notification, NotificationKind
from projections.status.fold import ENDINGS, Generation, generation_of
from projections.status.generation import generation_details
from projections.tracking.history import RequestHistory
from projections.view import RecordedEvent

QUEUED = NotificationKind("queued")
"""The request waits, at first or again since a job lost images; never sent to a webhook."""
STARTED = NotificationKind("started")
"""A worker took a job of the request."""
IMAGE = NotificationKind("image")
"""An image was made."""
PROGRESS = NotificationKind("progress")
"""A job came further."""
ENDED = NotificationKind("ended")
"""The request completed, faulted, expired or was cancelled."""

WEBHOOK_KINDS = (STARTED, IMAGE, PROGRESS, ENDED)
"""What a webhook can ask for, in the order in which it is listed everywhere."""

DEFAULT_KINDS = (IMAGE, ENDED)
"""What a webhook gets that asks for nothing in particular: each image, and the end."""


def notification_of(event: Aggregate.Event, request_id: UUID) -> Notification | None:
    """Return the notification of an event; None for none.

    :param request_id: the request that it belongs to.
    """
    kind: NotificationKind
    about, step = request_id, None
    match event:
        case Request.Submitted():
            kind = QUEUED
        case Request.JobReturned() if event.lost:
            kind = QUEUED
        case Request.Ended():
            kind = ENDED
        case Job.Batched():
            kind, about = STARTED, event.originator_id
        case Job.Progressed():
            kind, about, step = PROGRESS, event.originator_id, event.step
        case Job.ImageGenerated():
            kind, about = IMAGE, event.image_id
        case _:
            return None
    return Notification(kind, request_id, about, event.timestamp, step)


def notification_data(
    record: RecordedEvent, history: RequestHistory, image_of: Callable[[Generation], str]
) -> dict[str, Any]:
    """Return the data of the notification of an event.

    :param history: its request, with all events up to this one.
    :param image_of: returns the ``img`` of an image: its address, or base64.
    """
    event = record.event
    request: dict[str, Any] = {"request": history.request_id}
    match event:
        case Request.Submitted():
            return request | {"images": event.images, "kudos": event.kudos}
        case Request.JobReturned():
            return request | {"images": history.submitted.images, "lost": event.lost}
        case Request.Ended():
            return request | _ending(event, history)
        case Job.Batched():
            return request | _job(event)
        case Job.Progressed():
            return progress_data(history.batched[event.originator_id], event.step, event.steps)
        case Job.ImageGenerated():
            made = generation_of(event, history.batched[event.originator_id], record.position)
            details = generation_details(made, img=image_of(made), images=history.submitted.images)
            return details | request | {"kudos": event.kudos}
    raise ValueError(f"no notification is made of {type(event).__qualname__}")


def progress_data(job: Job.Batched, step: int, steps: int) -> dict[str, Any]:
    """Return the data of a job's progress, recorded or not.

    :param step: denoising steps that are done.
    :param steps: how many there are in all.
    """
    return {"request": job.request_id} | _job(job) | {"step": step, "steps": steps}


def _job(job: Job.Batched) -> dict[str, Any]:
    return {
        "job": job.originator_id,
        "images": len(job.image_ids),
        "worker_id": job.worker_id,
        "worker_name": job.worker_name,
        "model": job.model,
    }


def _ending(event: Request.Ended, history: RequestHistory) -> dict[str, Any]:
    images = history.submitted.images
    state = ENDINGS[type(event)]
    return {
        "state": state.value,
        "images": images,
        "finished": images - getattr(event, "abandoned", 0),
        "faulted": state is RequestState.FAULTED,
        "kudos": kudos_from(hundredths(history.burnt)),
    }
