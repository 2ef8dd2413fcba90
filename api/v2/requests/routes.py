"""Asking for images and watching them come: async, check and status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Header
from starlette.requests import Request

from api.http.answer import NOT_KEPT, Answer
from api.http.authentication import ApiKey
from api.http.bodies import RawBody
from api.http.idempotency import IdempotencyKeyHeader, idempotency_key_from
from api.http.images import as_base64
from api.http.openapi import error_responses, request_body
from api.http.parameters import address_of, uuid_from
from api.tracking.long_polling import (
    WAITING_PARAMETERS,
    changed_status,
    etag_of,
    wait_from,
)
from api.v2.requests.feature import Intake, IntakeFeature, Progress, ProgressFeature
from api.v2.requests.images import image_address
from api.v2.requests.preparing import advice_for, body_of_taken, prepared, told_of
from api.v2.requests.replicas import read_asked, replicated
from api.v2.requests.requester import Requester
from api.v2.requests.schemas import (
    GenerationInputStable,
    ReplicationInput,
    RequestAsync,
    RequestDryRun,
    RequestStatusCheck,
    RequestStatusStable,
)
from api.v2.requests.source_images import take_in_sources
from api.v2.requests.specification import (
    Knowledge,
    checked_agent,
    command_from,
    wish_from,
)
from api.v2.requests.status import check_body, status_body
from domain.images.settings import ImageSettings
from domain.requests.commands import SubmitRequest
from domain.return_codes import Refused
from projections.status.fold import Generation, RequestStatus

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
    feature: Intake,
    request: Request,
    raw: RawBody,
    apikey: ApiKey,
    client_agent: ClientAgent = "unknown:0:unknown",
    idempotency_key: IdempotencyKeyHeader = None,
) -> Answer:
    """Ask for images. The id in the answer is all that is needed to watch, fetch and cancel.

    A body with `replicate` asks for an image that was made before.
    """
    feature.timeouts.require_allowed(address_of(request))
    account = feature.authentication.by_key(apikey)
    if feature.modes.now().maintenance:
        raise Refused("MaintenanceMode")
    agent = checked_agent(client_agent)
    given = read_asked(raw)
    address = address_of(request)
    attempt = idempotency_key_from(
        feature.keyed_digest,
        idempotency_key,
        raw,
        what="async",
        account=account,
        client_address=address,
    )
    if attempt is not None and not given.dry_run:
        # Whatever has changed since, what was taken once is not refused now.
        earlier = feature.ledger.requests.earlier(attempt)
        if earlier is not None:
            return Answer({"id": earlier.subject, "kudos": earlier.kudos}, status_code=202)
    unsafe_ip = address in feature.unsafe_networks
    requester = Requester(account, address, agent, unsafe_ip=unsafe_ip, attempt=attempt)
    if isinstance(given, ReplicationInput):
        return replicated(given, requester, feature)
    return _drawn_anew(given, requester, feature)


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
    feature.ledger.requests.cancel(known)
    return _status_answer(feature, request, known)


def _drawn_anew(
    given: GenerationInputStable, requester: Requester, feature: IntakeFeature
) -> Answer:
    """Answer a request for images that nobody has drawn before."""
    ledger = feature.ledger
    wish = wish_from(given, account=requester.account, knowledge=_knowledge(feature))
    webhook = feature.webhook_targets.of_request(
        given.webhook, given.webhook_events, account_id=requester.account.account_id
    )

    def build(settings: ImageSettings) -> SubmitRequest:
        return command_from(
            replace(wish, settings=settings),
            account=requester.account,
            catalogue=feature.catalogue,
            source=wish.source,
            client_address=requester.address,
            client_agent=requester.agent,
            unsafe_ip=requester.unsafe_ip,
            webhook=webhook,
        )

    if given.dry_run:
        command = build(wish.settings)
        ledger.requests.check_rights(command)
        return Answer({"kudos": ledger.requests.price(command).total})
    asked = prepared(wish, build, feature)
    command = asked.command
    ledger.requests.check_rights(command)
    if wish.source is not None:
        command = replace(command, source=take_in_sources(given, feature))
    request_id, kudos = ledger.requests.submit(command, requester.attempt)
    advice = advice_for(wish, asked, feature)
    told = told_of(wish, asked, advice)
    return Answer(body_of_taken(request_id, kudos, advice, told), status_code=202)


def _knowledge(feature: IntakeFeature) -> Knowledge:

    def offered() -> set[str]:
        present = feature.presence.present()
        return {model for worker in present for model in worker.capabilities.models}

    return Knowledge(feature.directory, feature.catalogue, feature.unknown_models, offered)


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
    image = image_of(feature, str(request.base_url), request_id, r2=status.r2)
    body = status_body(status, feature.backlog, feature.available_workers, image)
    return Answer(body, headers=NOT_KEPT)


def image_of(
    feature: ProgressFeature, base_url: str, request_id: UUID, *, r2: bool
) -> Callable[[Generation], str]:
    """Return what turns an image of a request into its ``img``.

    :param base_url: what addresses start with, where the installation has no public one.
    :param r2: whether it is to be an address rather than the image itself in base64, which may
        block.
    """
    if r2:
        return lambda made: image_address(feature, base_url, request_id, made.image_id)

    def encoded(made: Generation) -> str:
        try:
            return as_base64(feature.blobs.get(made.digest))
        except LookupError:
            # The facts about an image outlive it.
            return ""

    return encoded


def _request_id(text: str) -> UUID:
    request_id = uuid_from(text)
    if request_id is None:
        raise Refused("RequestNotFound")
    return request_id
