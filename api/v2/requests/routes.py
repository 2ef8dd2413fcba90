"""Asking for images and watching them come: async, check and status."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Header
from starlette.requests import Request

from api.context import Context, Provided, address_of
from api.http.answer import NOT_KEPT, Answer
from api.http.authentication import ApiKey
from api.http.bodies import RawBody
from api.http.idempotency import IdempotencyKeyHeader, attempt_from
from api.http.openapi import error_responses, request_body
from api.tracking.long_polling import (
    WAITING_PARAMETERS,
    changed_status,
    etag_of,
    wait_from,
)
from api.v2.requests.images import image_of
from api.v2.requests.schemas import (
    GenerationInputStable,
    ReplicationInput,
    RequestAsync,
    RequestDryRun,
    RequestStatusCheck,
    RequestStatusStable,
)
from api.v2.requests.specification import checked_agent, read_request, requester_from, uuid_from
from api.v2.requests.status import check_body, status_body
from api.v2.requests.submit import Caller, submit_images, submit_replica
from domain.return_codes import Refused
from projections.status.reader import RequestStatus

router = APIRouter(tags=["generate"], default_response_class=Answer)

ClientAgent = Annotated[str, Header(description="`name:version:contact` of the client.")]


@router.post(
    "/generate/async",
    status_code=202,
    responses={
        202: {"model": RequestAsync, "description": "The request is in the queue."},
        200: {"model": RequestDryRun, "description": "With `dry_run`: what it would cost."},
        **error_responses(400, 401, 403, 404, 410, 413, 429, 501),
    },
    openapi_extra=request_body(GenerationInputStable, ReplicationInput),
)
def ask_for_images(
    context: Provided,
    request: Request,
    raw: RawBody,
    apikey: ApiKey,
    client_agent: ClientAgent = "unknown:0:unknown",
    idempotency_key: IdempotencyKeyHeader = None,
) -> Answer:
    """Ask for images. The id in the answer is all that is needed to watch, fetch and cancel.

    A body with `replicate` asks for an image that was made before.
    """
    services = context.services
    context.require_allowed(request)
    account = context.payer(apikey)
    if services.modes.now().maintenance:
        raise Refused("MaintenanceMode")
    agent = checked_agent(client_agent)
    given = read_request(raw)
    address = address_of(request)
    key = attempt_from(
        context, idempotency_key, raw, what="async", account=account, client_address=address
    )
    if key is not None and not given.dry_run:
        # Whatever has changed since, what was taken once is not refused now.
        earlier = services.ledger.earlier(key)
        if earlier is not None:
            return Answer({"id": earlier.subject, "kudos": earlier.kudos}, status_code=202)
    caller = Caller(
        account,
        requester_from(given, account, client_address=address, client_agent=agent),
        unsafe_ip=address in services.unsafe_networks,
        idempotency_key=key,
    )
    if isinstance(given, ReplicationInput):
        return submit_replica(given, caller, context)
    return submit_images(given, caller, context)


@router.get(
    "/generate/check/{request_id}",
    responses={200: {"model": RequestStatusCheck}, **error_responses(400, 404)},
    openapi_extra={"parameters": WAITING_PARAMETERS},
)
async def check(context: Provided, request: Request, request_id: str) -> Answer:
    """Say how far a request is, without its images: the one to poll.

    With `wait` it answers at once when the request is done, and else when its counts change or the
    time is over. Its `ETag` stands for the counts; without `If-None-Match` the next change is
    waited for.
    """
    known = _request_id(request_id)
    if not request.scope["query_string"]:
        # Most polls: what takes parameters apart would be a tenth of their cost.
        return await to_thread.run_sync(_check_answer, context, known)
    wait = wait_from(request)
    if wait is None:
        return await to_thread.run_sync(_check_answer, context, known)
    seen = request.headers.get("if-none-match")
    look = partial(to_thread.run_sync, context.services.status.check, known)
    status = await changed_status(context.hub, known, seen=seen, wait=wait, check=look)
    return await to_thread.run_sync(_counts_answer, context, status)


@router.get(
    "/generate/status/{request_id}",
    responses={200: {"model": RequestStatusStable}, **error_responses(404)},
)
def status(context: Provided, request: Request, request_id: str) -> Answer:
    """Say how far a request is, with the images that are there."""
    return _status_answer(context, request, _request_id(request_id))


@router.delete(
    "/generate/status/{request_id}",
    responses={200: {"model": RequestStatusStable}, **error_responses(404, 423)},
)
def cancel(context: Provided, request: Request, request_id: str) -> Answer:
    """Cancel a request; images that are finished stay. Cancelling again changes nothing."""
    known = _request_id(request_id)
    context.services.ledger.cancel_request(known)
    return _status_answer(context, request, known)


def _check_answer(context: Context, request_id: UUID) -> Answer:
    return _counted(context, context.services.status.check(request_id))


def _counts_answer(context: Context, status: RequestStatus | None) -> Answer:
    answer = _counted(context, status)
    if status is not None:
        answer.headers["etag"] = etag_of(status)
    return answer


def _counted(context: Context, status: RequestStatus | None) -> Answer:
    if status is None:
        raise Refused("RequestNotFound")
    return Answer(
        check_body(status, context.services.backlog, context.available_workers), headers=NOT_KEPT
    )


def _status_answer(context: Context, request: Request, request_id: UUID) -> Answer:
    services = context.services
    status = services.status.status(request_id)
    if status is None:
        raise Refused("RequestNotFound")
    root = context.root(str(request.base_url))
    image = image_of(services, root, request_id, r2=status.r2)
    body = status_body(status, services.backlog, context.available_workers, image)
    return Answer(body, headers=NOT_KEPT)


def _request_id(text: str) -> UUID:
    request_id = uuid_from(text)
    if request_id is None:
        raise Refused("RequestNotFound")
    return request_id
