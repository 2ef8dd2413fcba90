"""From where a request stands to what its client is told."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from api.v2.workers.available_workers import AvailableWorkers
from projections.backlog.reader import Ahead, BacklogReader
from projections.status.fold import Generation, RequestStatus
from projections.status.generation import generation_details


def check_body(
    status: RequestStatus, backlog: BacklogReader, available_workers: AvailableWorkers
) -> dict[str, Any]:
    """Return how far a request is."""
    ahead = backlog.ahead_of(status)
    return {
        "finished": status.finished,
        "processing": status.processing,
        "restarted": status.restarted,
        "waiting": status.waiting,
        "done": status.done,
        "faulted": status.faulted,
        "wait_time": _wait_seconds(status, ahead, available_workers),
        "queue_position": ahead.requests + 1 if status.waiting else 0,
        "kudos": status.kudos,
        "is_possible": not status.waiting or available_workers.may_serve(status.requirements),
    }


def status_body(
    status: RequestStatus,
    backlog: BacklogReader,
    available_workers: AvailableWorkers,
    image_of: Callable[[Generation], str],
) -> dict[str, Any]:
    """Return how far a request is, with its images.

    :param image_of: returns the ``img`` of an image: its address, or base64.
    """
    body = check_body(status, backlog, available_workers)
    body["generations"] = [
        generation_details(generation, img=image_of(generation), images=status.images)
        for generation in status.generations
    ]
    body["shared"] = status.shared
    return body


def _wait_seconds(status: RequestStatus, ahead: Ahead, available_workers: AvailableWorkers) -> int:
    """Return the estimate: all the work up to this request's last image, shared by all workers."""
    if status.done:
        return 0
    own = (status.waiting + status.processing) * status.megapixelsteps
    return math.ceil((ahead.megapixelsteps + own) / available_workers.megapixelsteps_per_second())
