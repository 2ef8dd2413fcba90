"""Accounts as the AI Horde's API cannot make them: registered, and given another key."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request

from api.http.answer import NOT_KEPT, Answer
from api.http.authentication import ApiKey
from api.http.bodies import RawBody, read_body
from api.http.openapi import error_responses, request_body
from api.http.parameters import address_of
from api.registration.feature import Registration
from api.registration.registrations import Registered
from api.registration.schemas import AccountWithKey, RegisterInput
from domain.accounts.rights import require_registered

router = APIRouter(tags=["accounts"], default_response_class=Answer)


@router.post(
    "/accounts",
    status_code=201,
    responses={201: {"model": AccountWithKey}, **error_responses(400, 403, 413, 423)},
    openapi_extra=request_body(RegisterInput),
)
def register(feature: Registration, request: Request, raw: RawBody) -> Answer:
    """Open an account. Its key is in the answer, and nowhere else."""
    given = read_body(RegisterInput, raw)
    registered = feature.registrations.register(
        given.username, given.contact, address=address_of(request)
    )
    return Answer(_body(registered), status_code=201, headers=NOT_KEPT)


@router.post(
    "/accounts/key",
    responses={200: {"model": AccountWithKey}, **error_responses(401, 403, 423)},
)
def another_key(feature: Registration, apikey: ApiKey) -> Answer:
    """Give your account another key. The old one opens nothing from now on."""
    account = feature.authentication.account(apikey)
    require_registered(account)
    registered = feature.registrations.another_key(account)
    feature.authentication.forget()
    return Answer(_body(registered), headers=NOT_KEPT)


def _body(registered: Registered) -> dict[str, str]:
    return {"username": registered.handle, "api_key": registered.key}
