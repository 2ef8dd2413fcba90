"""From where a request stands to what its client is told."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any

from api.crowd import Crowd
from domain.generation_metadata import MetadataType
from domain.job import ImageState
from projections.backlog import Ahead, BacklogReader
from projections.status import Generation, RequestStatus


def check_body(status: RequestStatus, backlog: BacklogReader, crowd: Crowd) -> dict[str, Any]:
    """Return how far a request is."""
    ahead = backlog.ahead_of(status)
    return {
        "finished": status.finished,
        "processing": status.processing,
        "restarted": status.restarted,
        "waiting": status.waiting,
        "done": status.done,
        "faulted": status.faulted,
        "wait_time": _wait_seconds(status, ahead, crowd),
        "queue_position": ahead.requests + 1 if status.waiting else 0,
        "kudos": status.kudos,
        "is_possible": not status.waiting or crowd.may_serve(status.requirements),
    }


def status_body(
    status: RequestStatus,
    backlog: BacklogReader,
    crowd: Crowd,
    image_of: Callable[[Generation], str],
) -> dict[str, Any]:
    """Return how far a request is, with its images.

    :param image_of: returns the ``img`` of an image: its address, or base64.
    """
    body = check_body(status, backlog, crowd)
    body["generations"] = [
        {
            "img": image_of(generation),
            "seed": str(generation.seed),
            "id": generation.image_id,
            "censored": generation.state is not ImageState.OK,
            "gen_metadata": _metadata(status, generation),
            "worker_id": generation.worker_id,
            "worker_name": generation.worker_name,
            "model": generation.model,
            "state": generation.state.value,
        }
        for generation in status.generations
    ]
    body["shared"] = status.shared
    return body


def as_base64(data: bytes) -> str:
    """Return an image as ``r2: false`` wants it."""
    return base64.b64encode(data).decode("ascii")


def _metadata(status: RequestStatus, generation: Generation) -> list[dict[str, str]]:
    """Return what the worker said of an image, and what replicates it as one of its batch.

    The place in the batch is the ledger's own knowledge, whatever the worker said of it; the only
    image of a request had no batch.
    """
    told = [
        {"type": word.type.value, "value": word.value.value, "ref": word.ref or ""}
        for word in generation.metadata
        if word.type is not MetadataType.BATCH_INDEX
    ]
    for word in told:
        if not word["ref"]:
            del word["ref"]
    if status.images > 1:
        place = str(generation.batch_index)
        told.append({"type": "batch_index", "value": "see_ref", "ref": place})
    return told


def _wait_seconds(status: RequestStatus, ahead: Ahead, crowd: Crowd) -> int:
    """Return the estimate: all the work up to this request's last image, shared by all workers."""
    if status.done:
        return 0
    own = (status.waiting + status.processing) * status.megapixelsteps
    return math.ceil((ahead.megapixelsteps + own) / crowd.megapixelsteps_per_second())
