"""Kudos that accounts send each other, and that admins award."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request

from api.http.answer import Answer
from api.http.authentication import ANONYMOUS, ApiKey
from api.http.bodies import RawBody, read_body
from api.http.idempotency import IdempotencyKeyHeader, idempotency_key_from
from api.http.openapi import error_responses, request_body
from api.http.parameters import address_of
from api.v2.accounts.feature import Accounts, AccountsFeature
from api.v2.accounts.schemas import (
    KudosAwarded,
    KudosAwardInput,
    KudosTransferInput,
    KudosTransferred,
)
from domain.accounts.directory import AccountEntry
from domain.accounts.rights import require_may_award
from domain.names import named_and_numbered
from domain.return_codes import Refused

router = APIRouter(tags=["kudos"], default_response_class=Answer)

_AWARD_REASON = "awarded"


@router.post(
    "/kudos/transfer",
    responses={200: {"model": KudosTransferred}, **error_responses(400, 401, 403, 404, 423)},
    openapi_extra=request_body(KudosTransferInput),
)
def transfer(
    feature: Accounts,
    request: Request,
    raw: RawBody,
    apikey: ApiKey,
    idempotency_key: IdempotencyKeyHeader = None,
) -> Answer:
    """Send kudos of your own to another account."""
    sender = feature.authentication.account(apikey)
    given = read_body(KudosTransferInput, raw)
    attempt = idempotency_key_from(
        feature.keyed_digest,
        idempotency_key,
        raw,
        what="kudos/transfer",
        account=sender,
        client_address=address_of(request),
    )
    if sender.account_id == ANONYMOUS.account_id:
        raise Refused("KudosTransferFromAnon")
    receiver = _account_called(feature, given.username)
    if receiver is None:
        raise Refused("InvalidTargetUsername")
    transferred = feature.kudos.transfer(
        sender.account_id, receiver.account_id, given.amount, key=attempt
    )
    return Answer({"transferred": transferred})


@router.post(
    "/kudos/award",
    responses={200: {"model": KudosAwarded}, **error_responses(400, 401, 403, 423)},
    openapi_extra=request_body(KudosAwardInput),
)
def award(feature: Accounts, raw: RawBody, apikey: ApiKey) -> Answer:
    """Award kudos to an account: for admins."""
    actor = feature.authentication.account(apikey)
    require_may_award(actor)
    given = read_body(KudosAwardInput, raw)
    receiver = _account_called(feature, given.username)
    if receiver is None:
        raise Refused("InvalidAwardUsername")
    awarded = feature.kudos.award(
        receiver.account_id, given.amount, by=actor.account_id, reason=_AWARD_REASON
    )
    return Answer({"awarded": awarded})


def _account_called(feature: AccountsFeature, username: str) -> AccountEntry | None:
    """Return the account of ``name#number``. Both must fit: kudos that went astray are gone."""
    handle = named_and_numbered(username)
    if handle is None:
        return None
    name, number = handle
    if number == ANONYMOUS.number:
        return ANONYMOUS
    entry = feature.directory.account_by_number(number)
    return entry if entry is not None and entry.name.casefold() == name.casefold() else None
