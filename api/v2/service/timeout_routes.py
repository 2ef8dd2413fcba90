"""Operations of moderators: network addresses that are shut out for a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from fastapi import APIRouter

from api.http.answer import NOT_KEPT, Answer
from api.http.authentication import ApiKey
from api.http.bodies import RawBody, read_body
from api.http.openapi import error_responses, request_body
from api.http.schemas import SimpleResponse
from api.http.timeouts import AddressTimeout
from api.v2.service.feature import Service, ServiceFeature
from api.v2.workers.routes import worker_entry
from api.v2.workers.schemas import (
    AddTimeoutIPInput,
    AddWorkerTimeout,
    DeleteTimeoutIPInput,
    IPTimeout,
)
from domain.accounts.rights import require_moderator
from domain.return_codes import Refused

router = APIRouter(tags=["operations"], default_response_class=Answer)

_SEEN_WITHIN = timedelta(days=30)


@router.get(
    "/operations/ipaddr",
    responses={200: {"model": list[IPTimeout]}, **error_responses(401, 403)},
)
def timeouts(feature: Service, apikey: ApiKey) -> Answer:
    """List who is shut out, the first to end first; moderators only."""
    require_moderator(feature.authentication.account(apikey))
    return Answer(_bodies(feature, feature.timeouts.active()), headers=NOT_KEPT)


@router.get(
    "/operations/ipaddr/{ipaddr:path}",
    responses={200: {"model": list[IPTimeout]}, **error_responses(400, 401, 403, 404)},
)
def timeouts_of(feature: Service, ipaddr: str, apikey: ApiKey) -> Answer:
    """List that by which an address or a network is shut out; moderators only."""
    require_moderator(feature.authentication.account(apikey))
    return Answer(_bodies(feature, feature.timeouts.covering(ipaddr)), headers=NOT_KEPT)


@router.post(
    "/operations/ipaddr",
    responses={200: {"model": SimpleResponse}, **error_responses(400, 401, 403)},
    openapi_extra=request_body(AddTimeoutIPInput),
)
def shut_out(feature: Service, raw: RawBody, apikey: ApiKey) -> Answer:
    """Shut an address or a network out: it gets neither images nor work; moderators only."""
    require_moderator(feature.authentication.account(apikey))
    given = read_body(AddTimeoutIPInput, raw)
    feature.timeouts.shut_out(given.ipaddr, timedelta(hours=given.hours))
    return Answer({"message": "OK"})


@router.delete(
    "/operations/ipaddr",
    responses={200: {"model": SimpleResponse}, **error_responses(400, 401, 403)},
    openapi_extra=request_body(DeleteTimeoutIPInput),
)
def let_in(feature: Service, raw: RawBody, apikey: ApiKey) -> Answer:
    """Let an address or a network in again; moderators only."""
    require_moderator(feature.authentication.account(apikey))
    given = read_body(DeleteTimeoutIPInput, raw)
    feature.timeouts.let_in(given.ipaddr)
    return Answer({"message": "OK"})


@router.put(
    "/operations/block_worker_ipaddr/{worker_id}",
    responses={200: {"model": SimpleResponse}, **error_responses(400, 401, 403, 404)},
    openapi_extra=request_body(AddWorkerTimeout),
)
def block_worker(feature: Service, worker_id: str, raw: RawBody, apikey: ApiKey) -> Answer:
    """Shut out the address that a worker asked from last, unread; moderators only."""
    require_moderator(feature.authentication.account(apikey))
    address = _address_of(feature, worker_id)
    given = read_body(AddWorkerTimeout, raw)
    feature.timeouts.shut_out(address, timedelta(days=given.days))
    return Answer({"message": "OK"})


@router.delete(
    "/operations/block_worker_ipaddr/{worker_id}",
    responses={200: {"model": SimpleResponse}, **error_responses(400, 401, 403, 404)},
)
def unblock_worker(feature: Service, worker_id: str, apikey: ApiKey) -> Answer:
    """Let the address in again that a worker asked from last; moderators only."""
    require_moderator(feature.authentication.account(apikey))
    feature.timeouts.let_in(_address_of(feature, worker_id))
    return Answer({"message": "OK"})


def _address_of(feature: ServiceFeature, worker_id: str) -> str:
    """Return the digest of the address that a worker asked from last.

    :raises Refused: ``WorkerNotFound``; ``BadRequest``, when none is known.
    """
    entry = worker_entry(feature.directory, worker_id)
    for present in feature.presence.present(_SEEN_WITHIN):
        if present.worker_id == entry.worker_id and present.address:
            return present.address
    raise Refused("BadRequest", "No network address of this worker is known.")


def _bodies(feature: ServiceFeature, found: Sequence[AddressTimeout]) -> list[dict[str, Any]]:
    now = feature.clock.now()
    return [
        {"ipaddr": each.address, "seconds": max(0, round((each.ends_at - now).total_seconds()))}
        for each in found
    ]
