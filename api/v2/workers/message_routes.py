"""Messages to workers: sent by moderators to all, and by owners to their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.http.answer import NOT_KEPT, Answer
from api.http.authentication import ApiKey
from api.http.bodies import RawBody, read_body
from api.http.openapi import error_responses, request_body
from api.http.parameters import uuid_from
from api.http.schemas import SimpleResponse
from api.v2.workers.bodies import message_bodies
from api.v2.workers.feature import Workers, WorkersFeature
from api.v2.workers.messages import Validity, WorkerMessage
from api.v2.workers.routes import worker_entry
from api.v2.workers.schemas import MessageInput, ResponseModelMessage
from domain.accounts.directory import AccountEntry
from domain.accounts.rights import require_moderator, require_registered
from domain.names import number_from
from domain.return_codes import Refused

router = APIRouter(tags=["messages"], default_response_class=Answer)


@router.get(
    "/workers/messages",
    responses={200: {"model": list[ResponseModelMessage]}, **error_responses(400, 401, 403, 404)},
)
def messages(
    feature: Workers,
    apikey: ApiKey,
    user_id: Annotated[
        str | None, Query(description="To this account's workers only; the number.")
    ] = None,
    worker_id: Annotated[str | None, Query(description="To this worker only.")] = None,
    validity: Annotated[Validity, Query()] = Validity.ACTIVE,
    page: Annotated[int, Query(ge=1, le=10_000, description="50 messages a page.")] = 1,
) -> Answer:
    """List messages, the latest first: an owner those to its own workers, a moderator all."""
    viewer = feature.authentication.account(apikey)
    require_registered(viewer)
    workers = _workers_meant(feature, viewer, user_id, worker_id)
    found = feature.messages.page(worker_ids=workers, validity=validity, page=page)
    return Answer(message_bodies(feature, found), headers=NOT_KEPT)


@router.post(
    "/workers/messages",
    responses={200: {"model": ResponseModelMessage}, **error_responses(400, 401, 403, 404, 413)},
    openapi_extra=request_body(MessageInput),
)
def send_message(feature: Workers, raw: RawBody, apikey: ApiKey) -> Answer:
    """Send a message: it comes with each pop until it ends.

    Moderators send to every worker, or to any; owners to their own.
    """
    author = feature.authentication.account(apikey)
    require_registered(author)
    given = read_body(MessageInput, raw)
    moderates = author.roles.may_moderate
    worker_id = None
    if given.worker_id is None:
        require_moderator(author)
    else:
        entry = worker_entry(feature.directory, given.worker_id)
        if entry.owner_id != author.account_id and not moderates:
            raise Refused("MessagesOnlyOwnWorkers")
        worker_id = entry.worker_id
    now = feature.clock.now()
    message = WorkerMessage(
        message_id=feature.random_source.new_id(),
        worker_id=worker_id,
        author_id=author.account_id,
        text=given.message,
        origin=given.origin if moderates and given.origin else author.handle,
        created_at=now,
        ends_at=now + timedelta(hours=given.expiry),
    )
    feature.messages.add(message)
    return Answer(message_bodies(feature, [message])[0])


@router.get(
    "/workers/messages/{message_id}",
    responses={200: {"model": ResponseModelMessage}, **error_responses(404)},
)
def message(feature: Workers, message_id: str) -> Answer:
    """Show a message; its id is all that is needed."""
    return Answer(message_bodies(feature, [_message(feature, message_id)])[0], headers=NOT_KEPT)


@router.delete(
    "/workers/messages/{message_id}",
    responses={200: {"model": SimpleResponse}, **error_responses(401, 403, 404)},
)
def delete_message(feature: Workers, message_id: str, apikey: ApiKey) -> Answer:
    """Delete a message: its sender and moderators may."""
    actor = feature.authentication.account(apikey)
    found = _message(feature, message_id)
    if found.author_id != actor.account_id:
        require_moderator(actor)
    feature.messages.delete(found.message_id)
    return Answer({"message": "OK"})


def _message(feature: WorkersFeature, message_id: str) -> WorkerMessage:
    known = uuid_from(message_id)
    found = None if known is None else feature.messages.message(known)
    if found is None:
        raise Refused("WorkermessageNotFound")
    return found


def _workers_meant(
    feature: WorkersFeature, viewer: AccountEntry, user_id: str | None, worker_id: str | None
) -> Sequence[UUID] | None:
    """Return to which workers the messages are wanted; None: to all.

    :raises Refused: ``UserNotFound``, ``WorkerNotFound`` or, for another's, ``NotModerator``.
    """
    directory = feature.directory
    if worker_id is not None:
        entry = worker_entry(feature.directory, worker_id)
        if entry.owner_id != viewer.account_id:
            require_moderator(viewer)
        return [entry.worker_id]
    owner_id = viewer.account_id
    if user_id is not None:
        number = number_from(user_id.rpartition("#")[2])
        owner = None if number is None else directory.account_by_number(number)
        if owner is None:
            raise Refused("UserNotFound")
        owner_id = owner.account_id
        if owner_id != viewer.account_id:
            require_moderator(viewer)
    elif viewer.roles.may_moderate:
        return None
    return [worker.worker_id for worker in directory.workers_owned_by(owner_id)]
