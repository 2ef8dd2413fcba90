"""The page on which anybody opens an account, or replaces a key that others may have seen."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

from api.http.answer import NOT_KEPT
from api.http.bodies import RawBody
from api.http.parameters import address_of
from api.pages.rendering import page
from api.registration.registrations import Registered, Registration
from domain.accounts.rights import require_registered
from domain.names import LONGEST_CONTACT, LONGEST_USER_NAME
from domain.return_codes import Refused

router = APIRouter(include_in_schema=False)

REGISTRATION_PATH = "/register"

_HONEYPOT = "website"
"""A field that people do not see and robots fill in."""

_MOST_FIELDS = 10


@router.get(REGISTRATION_PATH)
async def form(feature: Registration) -> HTMLResponse:
    """Show the forms."""
    return _page(is_open=feature.registrations.is_open)


@router.post(REGISTRATION_PATH)
def register(feature: Registration, request: Request, raw: RawBody) -> HTMLResponse:
    """Open an account and show its key, once."""
    fields = _fields(raw)
    name, contact = fields.get("username", ""), fields.get("contact", "")
    try:
        if fields.get(_HONEYPOT):
            raise Refused("Forbidden", "Leave the hidden field empty: it is there for robots.")
        registered = feature.registrations.register(name, contact, address=address_of(request))
    except Refused as refusal:
        return _page(refusal=refusal, name=name, contact=contact)
    return _page(registered=registered)


@router.post(f"{REGISTRATION_PATH}/key")
def another_key(feature: Registration, raw: RawBody) -> HTMLResponse:
    """Put a new key in an old one's place and show it, once."""
    try:
        account = feature.authentication.account(_fields(raw).get("apikey", "").strip())
        require_registered(account)
        registered = feature.registrations.another_key(account)
    except Refused as refusal:
        return _page(refusal=refusal)
    feature.authentication.forget()
    return _page(registered=registered)


def _fields(raw: bytes) -> dict[str, str]:
    """Return the fields of a form as browsers send it; of what is no form, none."""
    try:
        read = parse_qs(raw.decode("utf-8"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    return {name: values[0].replace("\0", "") for name, values in read.items()}


def _page(
    *,
    refusal: Refused | None = None,
    registered: Registered | None = None,
    is_open: bool = True,
    name: str = "",
    contact: str = "",
) -> HTMLResponse:
    return page(
        "registration.html",
        status=refusal.code.status if refusal is not None else 200,
        headers=NOT_KEPT,
        message=refusal.message if refusal is not None else "",
        registered=registered,
        is_open=is_open,
        name=name,
        contact=contact,
        path=REGISTRATION_PATH,
        honeypot=_HONEYPOT,
        longest_name=LONGEST_USER_NAME,
        longest_contact=LONGEST_CONTACT,
    )
