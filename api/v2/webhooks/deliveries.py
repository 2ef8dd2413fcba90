"""Webhook deliveries: listed, shown with their attempts, and resent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.http.answer import NOT_KEPT, Answer
from api.http.authentication import ApiKey
from api.http.bodies import RawBody, read_body
from api.http.openapi import error_responses, request_body
from api.http.parameters import uuid_from
from api.v2.webhooks.bodies import details_of, summary_of
from api.v2.webhooks.endpoints import endpoint_id_from, registered
from api.v2.webhooks.feature import Webhooks, WebhooksFeature
from api.v2.webhooks.schemas import (
    DeliveriesResent,
    DeliveryDetails,
    DeliveryResent,
    DeliverySummary,
    ResendInput,
    Since,
)
from domain.return_codes import Refused
from domain.webhooks.delivery import DeliveryState, WebhookDelivery

router = APIRouter(tags=["webhooks"], default_response_class=Answer)

MOST_RESENT = 250
"""Deliveries that one call sends again: each is a commit, and no call should take a minute."""


@router.get(
    "/webhooks/deliveries",
    responses={200: {"model": list[DeliverySummary]}, **error_responses(400, 401, 403)},
)
def deliveries(
    feature: Webhooks,
    apikey: ApiKey,
    state: Annotated[DeliveryState | None, Query()] = None,
    endpoint: Annotated[UUID | None, Query(description="For this endpoint only.")] = None,
    request: Annotated[UUID | None, Query(description="Of this request only.")] = None,
    since: Annotated[Since | None, Query()] = None,
    page: Annotated[int, Query(ge=1, le=10_000, description="50 deliveries a page.")] = 1,
) -> Answer:
    """List your deliveries, the last scheduled first. What just happened may take a moment."""
    rows = feature.records.page(
        account_id=registered(feature, apikey),
        state=state,
        endpoint_id=endpoint,
        request_id=request,
        since=since,
        page=page,
    )
    return Answer([summary_of(row) for row in rows], headers=NOT_KEPT)


@router.post(
    "/webhooks/deliveries/resend",
    status_code=202,
    responses={202: {"model": DeliveriesResent}, **error_responses(400, 401, 403, 404, 413, 423)},
    openapi_extra=request_body(ResendInput),
)
def resend_all(feature: Webhooks, raw: RawBody, apikey: ApiKey) -> Answer:
    """Send again what was abandoned since a time, the first abandoned first.

    Up to 250 in one call; the answer says whether more are left.
    """
    account_id = registered(feature, apikey)
    given = read_body(ResendInput, raw)
    endpoint_id = None if given.endpoint is None else endpoint_id_from(given.endpoint)
    ledger = feature.ledger
    if endpoint_id is not None:
        ledger.endpoint_of(account_id, endpoint_id)
    resent = 0
    for delivery_id in _abandoned(feature, account_id, endpoint_id, given):
        if resent == MOST_RESENT:
            return Answer({"resent": resent, "more": True}, status_code=202)
        ledger.resend(delivery_id, by=account_id, account_id=account_id)
        resent += 1
    return Answer({"resent": resent, "more": False}, status_code=202)


@router.get(
    "/webhooks/deliveries/{delivery_id}",
    responses={200: {"model": DeliveryDetails}, **error_responses(401, 403, 404)},
)
def delivery(feature: Webhooks, delivery_id: str, apikey: ApiKey) -> Answer:
    """Show a delivery with each of its attempts, and how each answer began."""
    found = _found(feature, registered(feature, apikey), delivery_id)
    return Answer(details_of(feature, found), headers=NOT_KEPT)


@router.post(
    "/webhooks/deliveries/{delivery_id}/resend",
    status_code=202,
    responses={202: {"model": DeliveryResent}, **error_responses(401, 403, 404, 423)},
)
def resend(feature: Webhooks, delivery_id: str, apikey: ApiKey) -> Answer:
    """Send a delivery again under the same id, with as many attempts as a new one.

    One that is still due goes on as it is.
    """
    account_id = registered(feature, apikey)
    found = _found(feature, account_id, delivery_id)
    feature.ledger.resend(found.id, by=account_id, account_id=account_id)
    return Answer({"delivery_id": found.id}, status_code=202)


def _found(feature: WebhooksFeature, account_id: UUID, delivery_id: str) -> WebhookDelivery:
    known = uuid_from(delivery_id)
    if known is None:
        raise Refused("DeliveryNotFound")
    found = feature.ledger.delivery(known)
    if found.account_id != account_id:
        raise Refused("DeliveryNotFound")
    return found


def _abandoned(
    feature: WebhooksFeature, account_id: UUID, endpoint_id: UUID | None, given: ResendInput
) -> Iterator[UUID]:
    portions = feature.records.all_abandoned_since(
        given.since, account_id=account_id, endpoint_id=endpoint_id
    )
    for portion in portions:
        for delivery_id in portion:
            # The list may not know yet that it was resent a moment ago.
            if feature.ledger.delivery(delivery_id).state is DeliveryState.ABANDONED:
                yield delivery_id
