"""Workers: listed, looked up, changed and deleted."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.http.answer import NOT_KEPT, Answer
from api.http.authentication import ApiKey
from api.http.bodies import RawBody, read_body
from api.http.openapi import error_responses, request_body
from api.http.parameters import uuid_from
from api.v2.accounts.visibility import Visibility, visibility_of
from api.v2.workers.bodies import worker_bodies, worker_body
from api.v2.workers.feature import Workers, WorkersFeature
from api.v2.workers.schemas import DeletedWorker, ModifyWorker, ModifyWorkerInput, WorkerDetails
from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.directory import AccountEntry
from domain.accounts.rights import require_may_delete_worker
from domain.names import worker_info_from, worker_name_from
from domain.return_codes import Refused
from domain.workers.changes import WorkerChange
from domain.workers.directory import WorkerEntry
from domain.workers.rights import require_may_change_worker
from projections.directory.view import AccountDirectory

router = APIRouter(tags=["workers"], default_response_class=Answer)


@router.get(
    "/workers", responses={200: {"model": list[WorkerDetails]}, **error_responses(401, 403)}
)
def workers(
    feature: Workers,
    apikey: ApiKey = None,
    type: Annotated[str, Query(description="`image`, or empty for all; there are no others.")] = "",
    name: Annotated[
        str | None, Query(description="This worker only, here or not; in any case.")
    ] = None,
) -> Answer:
    """List the workers that asked for work within the last five minutes."""
    viewer = feature.authentication.account(apikey) if apikey else None
    visibility = Visibility.PUBLIC
    if viewer is not None and viewer.roles.may_moderate:
        visibility = Visibility.MODERATOR
    if type not in {"", "image"}:
        return Answer([], headers=NOT_KEPT)
    if name is None:
        return Answer(worker_bodies(feature, visibility), headers=NOT_KEPT)
    named = [
        body
        for body in worker_bodies(feature, visibility)
        if body["name"].casefold() == name.casefold()
    ]
    entry = None if named else _entry_named(feature, name)
    if entry is not None:
        named = [worker_body(feature, entry, visibility_of(viewer, entry.owner_id))]
    return Answer(named, headers=NOT_KEPT)


@router.get(
    "/workers/name/{worker_name}",
    responses={200: {"model": WorkerDetails}, **error_responses(401, 403, 404)},
)
def worker_by_name(feature: Workers, worker_name: str, apikey: ApiKey = None) -> Answer:
    """Describe the worker of a name; its owner and moderators see more."""
    entry = _entry_named(feature, worker_name)
    if entry is None:
        raise Refused("WorkerNotFound")
    return _described(feature, entry, apikey)


@router.get(
    "/workers/{worker_id}",
    responses={200: {"model": WorkerDetails}, **error_responses(401, 403, 404)},
)
def worker(feature: Workers, worker_id: str, apikey: ApiKey = None) -> Answer:
    """Describe a worker; its owner and moderators see more."""
    return _described(feature, worker_entry(feature.directory, worker_id), apikey)


@router.put(
    "/workers/{worker_id}",
    responses={200: {"model": ModifyWorker}, **error_responses(400, 401, 403, 404, 423, 501)},
    openapi_extra=request_body(ModifyWorkerInput),
)
def change_worker(feature: Workers, worker_id: str, raw: RawBody, apikey: ApiKey) -> Answer:
    """Change a worker, all that is named or nothing: its owner and moderators may.

    Moderators alone pause it; maintenance that began because its owner is suspected is not ended
    by the owner.
    """
    actor = _registered(feature, apikey)
    entry = worker_entry(feature.directory, worker_id)
    given = read_body(ModifyWorkerInput, raw)
    change = _change_from(feature, given)
    require_may_change_worker(actor, entry.owner_id, change)
    if given.team:
        raise Refused("NotServed", "Teams are left out.")
    if given.team is None and change == WorkerChange(
        maintenance_message=change.maintenance_message
    ):
        raise Refused("NoWorkerModSelected")
    if change.maintenance is False and actor.roles.flagged and not actor.roles.may_moderate:
        raise Refused("WorkerFlaggedMaintenance")
    feature.ledger.change(entry.worker_id, change)
    # As the AI Horde names no team.
    return Answer(_changed(change) | ({} if given.team is None else {"team": "None"}))


@router.delete(
    "/workers/{worker_id}",
    responses={200: {"model": DeletedWorker}, **error_responses(401, 403, 404, 423)},
)
def delete_worker(feature: Workers, worker_id: str, apikey: ApiKey) -> Answer:
    """Strike a worker from the list: its owner and moderators may. What it earned stays."""
    actor = _registered(feature, apikey)
    entry = worker_entry(feature.directory, worker_id)
    require_may_delete_worker(actor, entry.owner_id)
    feature.ledger.delete(entry.worker_id)
    return Answer({"deleted_id": entry.worker_id, "deleted_name": entry.name})


def worker_entry(directory: AccountDirectory, worker_id: str) -> WorkerEntry:
    """Return the worker of an id as clients write it.

    :raises Refused: ``WorkerNotFound``.
    """
    known = uuid_from(worker_id)
    entry = None if known is None else directory.worker(known)
    if entry is None:
        raise Refused("WorkerNotFound")
    return entry


def _entry_named(feature: WorkersFeature, name: str) -> WorkerEntry | None:
    # No name has what cannot be printed, and PostgreSQL takes no NUL to look for.
    return feature.directory.worker_by_name(name) if name.isprintable() else None


def _described(feature: WorkersFeature, entry: WorkerEntry, apikey: str | None) -> Answer:
    viewer = feature.authentication.account(apikey) if apikey else None
    body = worker_body(feature, entry, visibility_of(viewer, entry.owner_id))
    return Answer(body, headers=NOT_KEPT)


def _registered(feature: WorkersFeature, apikey: str | None) -> AccountEntry:
    actor = feature.authentication.account(apikey)
    if actor.account_id == ANONYMOUS_ID:
        raise Refused("AnonForbiddenWorker")
    return actor


def _change_from(feature: WorkersFeature, given: ModifyWorkerInput) -> WorkerChange:
    content_filter = feature.content_filter
    return WorkerChange(
        name=None if given.name is None else worker_name_from(given.name, content_filter),
        info=None if given.info is None else worker_info_from(given.info, content_filter),
        maintenance=given.maintenance,
        maintenance_message=given.maintenance_msg or "",
        paused=given.paused,
    )


def _changed(change: WorkerChange) -> dict[str, Any]:
    fields = {
        "maintenance": change.maintenance,
        "paused": change.paused,
        "info": change.info,
        "name": change.name,
    }
    return {name: value for name, value in fields.items() if value is not None}
