"""The secrets and the public key with which an account's receivers verify deliveries."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter

from api.http.answer import NOT_KEPT, Answer
from api.http.authentication import ApiKey
from api.http.bodies import RawBody, read_body
from api.http.openapi import error_responses, request_body
from api.v2.webhooks.endpoints import registered
from api.v2.webhooks.feature import Webhooks, WebhooksFeature
from api.v2.webhooks.schemas import RotationInput, WebhookSecrets

router = APIRouter(tags=["webhooks"], default_response_class=Answer)


@router.get(
    "/webhooks/secret",
    responses={200: {"model": WebhookSecrets}, **error_responses(401, 403)},
)
def secret(feature: Webhooks, apikey: ApiKey) -> Answer:
    """Show the secrets and the public key with which you verify deliveries.

    Anonymous has only a public key: a secret that everybody can ask for is none.
    """
    return _secrets(feature, feature.authentication.account(apikey).account_id)


@router.post(
    "/webhooks/secret/rotate",
    responses={200: {"model": WebhookSecrets}, **error_responses(400, 401, 403, 413, 423)},
    openapi_extra=request_body(RotationInput, required=False),
)
def rotate(feature: Webhooks, raw: RawBody, apikey: ApiKey) -> Answer:
    """Make a new secret. The present one signs beside it for a while."""
    account_id = registered(feature, apikey)
    given = read_body(RotationInput, raw or b"{}")
    feature.ledger.rotate_secret(account_id, overlap=timedelta(seconds=given.overlap_seconds))
    return _secrets(feature, account_id)


def _secrets(feature: WebhooksFeature, account_id: UUID) -> Answer:
    numbers = feature.ledger.secret_numbers(account_id)
    keys = feature.keys
    return Answer(
        {
            "secrets": [keys.secret(account_id, number) for number in numbers],
            "public_key": keys.public_key(account_id),
        },
        headers=NOT_KEPT,
    )
