"""Accounts as the AI Horde's API cannot make them: registered, and given another key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request

from api.http.answer import NOT_KEPT, Answer
from api.http.authentication import ApiKey
from api.http.bodies import Body, RawBody, read_body
from api.http.openapi import error_responses, request_body
from api.http.parameters import address_of
from api.registration.registrations import Registered, Registration
from domain.accounts.rights import require_registered
from domain.names import LONGEST_CONTACT

router = APIRouter(tags=["accounts"], default_response_class=Answer)


class RegisterInput(Body):
    """An account to be opened."""

    username: Annotated[str, Field(min_length=1, max_length=100, description="1 to 30 characters.")]
    contact: Annotated[
        str, Field(max_length=LONGEST_CONTACT, description="How operators can reach you.")
    ] = ""


class AccountWithKey(BaseModel):
    """An account and its key."""

    username: Annotated[str, Field(description="`name#number`.")]
    api_key: Annotated[str, Field(description="Shown this once: only its digest is stored.")]


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
