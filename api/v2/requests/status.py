"""How far a request is, and its end by its client: check, status and cancel."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter
from starlette.requests import Request

from api.http.answer import NOT_KEPT, Answer
from api.http.openapi import error_responses
from api.http.parameters import root_of, uuid_from
from api.tracking.long_polling import (
    WAITING_PARAMETERS,
    changed_status,
    etag_of,
    wait_from,
)
from api.v2.requests.feature import Progress, ProgressFeature
from api.v2.requests.figures import whole_kudos
from api.v2.requests.images import image_of
from api.v2.requests.schemas import RequestStatusCheck, RequestStatusStable
from api.v2.workers.available_workers import AvailableWorkers
from domain.return_codes import Refused
from projections.backlog.reader import Ahead, BacklogReader
from projections.status.fold import Generation, RequestStatus
from projections.status.generation import generation_details

router = APIRouter(tags=["generate"], default_response_class=Answer)


@router.get(
    "/generate/check/{request_id}",
    responses={200: {"model": RequestStatusCheck}, **error_responses(400, 404)},
    openapi_extra={"parameters": WAITING_PARAMETERS},
)
async def check(feature: Progress, request: Request, request_id: str) -> Answer:
    """Say how far a request is, without its images: the one to poll.

    With `wait` it answers at once when the request is done, and else when its counts change or the
    time is over. Its `ETag` stands for the counts; without `If-None-Match` the next change is
    waited for.
    """
    known = _request_id(request_id)
    if not request.scope["query_string"]:
        # Most polls: what takes parameters apart would be a tenth of their cost.
        return await to_thread.run_sync(_check_answer, feature, known)
    wait = wait_from(request)
    if wait is None:
        return await to_thread.run_sync(_check_answer, feature, known)
    seen = request.headers.get("if-none-match")
    look = partial(to_thread.run_sync, feature.status.check, known)
    status = await changed_status(feature.hub, known, seen=seen, wait=wait, check=look)
    return await to_thread.run_sync(_counts_answer, feature, status)


@router.get(
    "/generate/status/{request_id}",
    responses={200: {"model": RequestStatusStable}, **error_responses(404)},
)
def status(feature: Progress, request: Request, request_id: str) -> Answer:
    """Say how far a request is, with the images that are there."""
    return _status_answer(feature, request, _request_id(request_id))


@router.delete(
    "/generate/status/{request_id}",
    responses={200: {"model": RequestStatusStable}, **error_responses(404, 423)},
)
def cancel(feature: Progress, request: Request, request_id: str) -> Answer:
    """Cancel a request; images that are finished stay. Cancelling again changes nothing."""
    known = _request_id(request_id)
    feature.ledger.cancel(known)
    return _status_answer(feature, request, known)


def _check_answer(feature: ProgressFeature, request_id: UUID) -> Answer:
    return _counted(feature, feature.status.check(request_id))


def _counts_answer(feature: ProgressFeature, status: RequestStatus | None) -> Answer:
    answer = _counted(feature, status)
    if status is not None:
        answer.headers["etag"] = etag_of(status)
    return answer


def _counted(feature: ProgressFeature, status: RequestStatus | None) -> Answer:
    if status is None:
        raise Refused("RequestNotFound")
    return Answer(check_body(status, feature.backlog, feature.available_workers), headers=NOT_KEPT)


def _status_answer(feature: ProgressFeature, request: Request, request_id: UUID) -> Answer:
    status = feature.status.status(request_id)
    if status is None:
        raise Refused("RequestNotFound")
    root = root_of(feature.public_url, str(request.base_url))
    image = image_of(feature, root, request_id, r2=status.r2)
    body = status_body(status, feature.backlog, feature.available_workers, image)
    return Answer(body, headers=NOT_KEPT)


def _request_id(text: str) -> UUID:
    request_id = uuid_from(text)
    if request_id is None:
        raise Refused("RequestNotFound")
    return request_id


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
        "kudos": whole_kudos(status.kudos),
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
