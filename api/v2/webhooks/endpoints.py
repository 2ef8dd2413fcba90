"""Webhook endpoints: addresses for the notifications of all requests of an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter

from api.http.answer import NOT_KEPT, Answer
from api.http.authentication import ApiKey
from api.http.bodies import RawBody, read_body
from api.http.openapi import error_responses, request_body
from api.http.parameters import uuid_from
from api.http.schemas import SimpleResponse
from api.v2.webhooks.bodies import opened
from api.v2.webhooks.feature import Webhooks, WebhooksFeature
from api.v2.webhooks.notices import notice_of
from api.v2.webhooks.schemas import EndpointChange, EndpointDetails, EndpointInput, TestScheduled
from api.v2.webhooks.targets import kinds_from
from domain.accounts.rights import require_registered
from domain.return_codes import Refused
from domain.webhooks.endpoint import WebhookEndpoint

router = APIRouter(tags=["webhooks"], default_response_class=Answer)

_NO_CHANGE = "Nothing about the endpoint is to be changed: name events or enabled."


@router.get(
    "/webhooks/endpoints",
    responses={200: {"model": list[EndpointDetails]}, **error_responses(401, 403)},
)
def endpoints(feature: Webhooks, apikey: ApiKey) -> Answer:
    """List your endpoints, the first registered first."""
    account_id = registered(feature, apikey)
    entries = feature.deliveries.endpoints_of([account_id]).get(account_id, ())
    found = [feature.ledger.endpoint(entry.endpoint_id) for entry in entries]
    # One may have been deleted since they were listed.
    bodies = [_body(feature, endpoint) for endpoint in found if not endpoint.deleted]
    return Answer(bodies, headers=NOT_KEPT)


@router.post(
    "/webhooks/endpoints",
    status_code=201,
    responses={201: {"model": EndpointDetails}, **error_responses(400, 401, 403, 413)},
    openapi_extra=request_body(EndpointInput),
)
def add_endpoint(feature: Webhooks, raw: RawBody, apikey: ApiKey) -> Answer:
    """Register an address for the notifications of all your requests from now on."""
    account_id = registered(feature, apikey)
    given = read_body(EndpointInput, raw)
    address = feature.targets.checked_address(given.url, field="url")
    endpoint_id = feature.ledger.register_endpoint(
        account_id, address=address, kinds=kinds_from(given.events)
    )
    return _answer(feature, account_id, endpoint_id, status=201)


@router.get(
    "/webhooks/endpoints/{endpoint_id}",
    responses={200: {"model": EndpointDetails}, **error_responses(401, 403, 404)},
)
def endpoint(feature: Webhooks, endpoint_id: str, apikey: ApiKey) -> Answer:
    """Show one of your endpoints: what is sent there, and how it answers."""
    account_id = registered(feature, apikey)
    return _answer(feature, account_id, endpoint_id_from(endpoint_id))


@router.patch(
    "/webhooks/endpoints/{endpoint_id}",
    responses={200: {"model": EndpointDetails}, **error_responses(400, 401, 403, 404, 413, 423)},
    openapi_extra=request_body(EndpointChange),
)
def change_endpoint(feature: Webhooks, endpoint_id: str, raw: RawBody, apikey: ApiKey) -> Answer:
    """Change the given fields. Enable an endpoint again once it works again."""
    account_id = registered(feature, apikey)
    known = endpoint_id_from(endpoint_id)
    given = read_body(EndpointChange, raw)
    if given == EndpointChange():
        raise Refused("BadRequest", _NO_CHANGE)
    feature.ledger.change_endpoint(
        known,
        account_id=account_id,
        kinds=None if given.events is None else kinds_from(given.events),
        enabled=given.enabled,
    )
    return _answer(feature, account_id, known)


@router.delete(
    "/webhooks/endpoints/{endpoint_id}",
    responses={200: {"model": SimpleResponse}, **error_responses(401, 403, 404, 423)},
)
def delete_endpoint(feature: Webhooks, endpoint_id: str, apikey: ApiKey) -> Answer:
    """Delete an endpoint for good. Deliveries that are still due there are abandoned."""
    account_id = registered(feature, apikey)
    feature.ledger.delete_endpoint(endpoint_id_from(endpoint_id), account_id=account_id)
    return Answer({"message": "OK"})


@router.post(
    "/webhooks/endpoints/{endpoint_id}/test",
    status_code=202,
    responses={202: {"model": TestScheduled}, **error_responses(401, 403, 404)},
)
def send_test(feature: Webhooks, endpoint_id: str, apikey: ApiKey) -> Answer:
    """Send a test now, also to an endpoint that is disabled or whose circuit is open."""
    account_id = registered(feature, apikey)
    delivery_id = feature.ledger.test_endpoint(endpoint_id_from(endpoint_id), account_id=account_id)
    return Answer({"delivery_id": delivery_id}, status_code=202)


def endpoint_id_from(text: str) -> UUID:
    """Return the id of an endpoint as a client wrote it.

    :raises Refused: ``WebhookNotFound``, when it is no id.
    """
    endpoint_id = uuid_from(text)
    if endpoint_id is None:
        raise Refused("WebhookNotFound")
    return endpoint_id


def registered(feature: WebhooksFeature, key: str | None) -> UUID:
    """Return the account of a key: any but anonymous.

    :raises Refused: ``InvalidAPIKey``, ``DeletedUser`` or ``AnonForbidden``.
    """
    account = feature.authentication.account(key)
    require_registered(account)
    return account.account_id


def _answer(
    feature: WebhooksFeature, account_id: UUID, endpoint_id: UUID, status: int = 200
) -> Answer:
    found = feature.ledger.endpoint_of(account_id, endpoint_id)
    return Answer(_body(feature, found), status_code=status, headers=NOT_KEPT)


def _body(feature: WebhooksFeature, endpoint: WebhookEndpoint) -> Mapping[str, Any]:
    health, now = feature.deliveries.health(endpoint.id), feature.clock.now()
    return {
        "id": endpoint.id,
        "url": opened(feature, endpoint.address),
        "events": endpoint.kinds,
        "enabled": endpoint.is_enabled,
        "disabled_because": endpoint.disabled,
        "notice": notice_of(endpoint.disabled, health, now),
        "failures": health.failures,
        "resting_until": health.blocked_until(now),
        "created": endpoint.created_on,
    }
