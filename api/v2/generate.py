"""Asking for images and watching them come: async, check and status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header
from starlette.requests import Request

from api.answer import NOT_KEPT, Answer
from api.authentication import ApiKey
from api.bodies import RawBody, read_body
from api.context import Context, Provided
from api.openapi import refuses, takes
from api.v2.asking import command_from, uuid_from
from api.v2.images import image_path
from api.v2.schemas.asking import GenerationInputStable, RequestAsync, RequestDryRun
from api.v2.schemas.watching import RequestStatusCheck, RequestStatusStable
from api.v2.watching import as_base64, check_body, status_body
from domain.return_codes import Refused
from projections.status import Generation, RequestStatus

router = APIRouter(tags=["generate"], default_response_class=Answer)

ClientAgent = Annotated[str, Header(description="`name:version:contact` of the client.")]

_NO_WORKER = "No worker that is here now may serve this request; it waits for one until it expires."
_NOT_CENSORED = "censor_nsfw has no effect yet: the workers here do not censor."


@router.post(
    "/generate/async",
    status_code=202,
    responses={
        202: {"model": RequestAsync, "description": "The request is in the queue."},
        200: {"model": RequestDryRun, "description": "With `dry_run`: what it would cost."},
        **refuses(400, 401, 413),
    },
    openapi_extra=takes(GenerationInputStable),
)
def ask_for_images(
    hoard: Provided,
    request: Request,
    raw: RawBody,
    apikey: ApiKey,
    client_agent: ClientAgent = "unknown:0:unknown",
) -> Answer:
    """Ask for images. The id in the answer is all that is needed to watch, fetch and cancel."""
    account = hoard.account(apikey)
    given = read_body(GenerationInputStable, raw)
    command = command_from(
        given,
        account=account,
        directory=hoard.services.directory,
        client_address=request.client.host if request.client else "",
        client_agent=client_agent,
    )
    ledger = hoard.services.ledger
    if given.dry_run:
        return Answer({"kudos": ledger.price(command)})
    request_id, kudos = ledger.submit_request(command)
    body: dict[str, Any] = {"id": request_id, "kudos": kudos}
    messages = [_NOT_CENSORED] if given.censor_nsfw else []
    if not hoard.crowd.may_serve(command.requirements):
        messages.append(_NO_WORKER)
        body["warnings"] = [{"code": "NoAvailableWorker", "message": _NO_WORKER}]
    if messages:
        body["message"] = " ".join(messages)
    return Answer(body, status_code=202)


@router.get(
    "/generate/check/{request_id}",
    responses={200: {"model": RequestStatusCheck}, **refuses(404)},
)
def check(hoard: Provided, request_id: str) -> Answer:
    """Say how far a request is, without its images: the one to poll."""
    status = hoard.services.status.check(_request_id(request_id))
    if status is None:
        raise Refused("RequestNotFound")
    return Answer(check_body(status, hoard.services.backlog, hoard.crowd), headers=NOT_KEPT)


@router.get(
    "/generate/status/{request_id}",
    responses={200: {"model": RequestStatusStable}, **refuses(404)},
)
def status(hoard: Provided, request: Request, request_id: str) -> Answer:
    """Say how far a request is, with the images that are there."""
    return _status_answer(hoard, request, _request_id(request_id))


@router.delete(
    "/generate/status/{request_id}",
    responses={200: {"model": RequestStatusStable}, **refuses(404, 423)},
)
def cancel(hoard: Provided, request: Request, request_id: str) -> Answer:
    """Cancel a request; images that are finished stay. Cancelling again changes nothing."""
    known = _request_id(request_id)
    hoard.services.ledger.cancel_request(known)
    return _status_answer(hoard, request, known)


def _status_answer(hoard: Context, request: Request, request_id: UUID) -> Answer:
    services = hoard.services
    status = services.status.status(request_id)
    if status is None:
        raise Refused("RequestNotFound")
    image_of = _image_of(hoard, request, status)
    body = status_body(status, services.backlog, hoard.crowd, image_of)
    return Answer(body, headers=NOT_KEPT)


def _image_of(
    hoard: Context, request: Request, status: RequestStatus
) -> Callable[[Generation], str]:
    """Return what turns an image of this request into its ``img``."""
    services = hoard.services
    if status.r2:
        base = services.public_url or str(request.base_url).rstrip("/")
        return lambda made: f"{base}{image_path(status.request_id, made.image_id)}"

    def encoded(made: Generation) -> str:
        try:
            return as_base64(services.blobs.get(made.digest))
        except LookupError:
            # The facts about an image outlive it.
            return ""

    return encoded


def _request_id(text: str) -> UUID:
    request_id = uuid_from(text)
    if request_id is None:
        raise Refused("RequestNotFound")
    return request_id
