"""Accounts: listed, looked up, changed and deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.http.answer import NOT_KEPT, Answer
from api.http.authentication import ANONYMOUS, ApiKey
from api.http.bodies import RawBody, read_body
from api.http.openapi import error_responses, request_body
from api.http.schemas import SimpleResponse
from api.v2.accounts.bodies import account_body
from api.v2.accounts.feature import Accounts, AccountsFeature
from api.v2.accounts.schemas import ModifyUser, ModifyUserInput, UserDetails
from api.v2.accounts.visibility import Visibility, visibility_of
from domain.accounts.changes import AccountChange
from domain.accounts.directory import AccountEntry
from domain.accounts.kudos import kudos_from
from domain.accounts.rights import (
    require_admin,
    require_may_change_account,
    require_may_delete_account,
    require_moderator,
)
from domain.names import contact_from, handle_of, number_from, user_name_from
from domain.return_codes import Refused
from projections.accounts.reader import AccountOrder

router = APIRouter(tags=["users"], default_response_class=Answer)

_ROLES = (
    "moderator",
    "admin",
    "trusted",
    "patron",
    "flagged",
    "customizer",
    "vpn",
    "service",
    "education",
    "special",
)
_AWARD_REASON = "given by an admin"


@router.get("/users", responses={200: {"model": list[UserDetails]}, **error_responses(400)})
def users(
    feature: Accounts,
    page: Annotated[int, Query(ge=1, le=10_000, description="25 accounts a page.")] = 1,
    sort: Annotated[str, Query(description="`kudos`, or `age`.")] = "kudos",
) -> Answer:
    """List accounts, the richest or the oldest first."""
    order = AccountOrder.AGE if sort == AccountOrder.AGE else AccountOrder.KUDOS
    ids = feature.records.page(order, page)
    entries = feature.directory.accounts_by_ids(ids)
    bodies = [
        account_body(feature, entries[each], Visibility.PUBLIC) for each in ids if each in entries
    ]
    if order is AccountOrder.KUDOS:
        # The view that chose the page lags behind the balances that are shown.
        bodies.sort(key=lambda body: body["kudos"], reverse=True)
    return Answer(bodies, headers={"cache-control": "public, max-age=30"})


@router.get(
    "/users/{user_id}", responses={200: {"model": UserDetails}, **error_responses(401, 403, 404)}
)
def user(feature: Accounts, user_id: str, apikey: ApiKey = None) -> Answer:
    """Describe an account, by its number; its owner and moderators see more."""
    viewer = feature.authentication.account(apikey) if apikey else None
    account = _account(feature, user_id)
    visibility = visibility_of(viewer, account.account_id)
    if account.deleted and visibility < Visibility.MODERATOR:
        raise Refused("UserNotFound")
    return Answer(account_body(feature, account, visibility), headers=NOT_KEPT)


@router.get("/find_user", responses={200: {"model": UserDetails}, **error_responses(401, 403, 404)})
def find_user(feature: Accounts, apikey: ApiKey = None) -> Answer:
    """Describe the account of a key; of a shared key, its owner as everybody may see it."""
    try:
        account = feature.authentication.by_key(apikey)
    except Refused as refusal:
        if apikey and refusal.code.name == "InvalidAPIKey":
            raise Refused("UserNotFound") from None
        raise
    shared_key_id = account.shared_key_id
    if shared_key_id is None:
        body = account_body(feature, account, Visibility.OWN)
    else:
        body = account_body(feature, account, Visibility.PUBLIC)
        key = feature.directory.shared_key(shared_key_id)
        name = f": {key.name}" if key is not None and key.name else ""
        body["username"] += f" (Shared Key{name})"
    return Answer(body, headers=NOT_KEPT)


@router.put(
    "/users/{user_id}",
    responses={200: {"model": ModifyUser}, **error_responses(400, 401, 403, 404, 423, 501)},
    openapi_extra=request_body(ModifyUserInput),
)
def change_user(feature: Accounts, user_id: str, raw: RawBody, apikey: ApiKey) -> Answer:
    """Change an account, all that is named or nothing; kudos are given last.

    Its own name, contact and whether its workers are public each account changes itself;
    moderators change the rest, but kudos, moderators and admins, which are for admins.
    """
    actor = feature.authentication.account(apikey)
    target = _account(feature, user_id)
    given = read_body(ModifyUserInput, raw)
    if target.account_id == ANONYMOUS.account_id or actor.account_id == ANONYMOUS.account_id:
        raise Refused("AnonForbiddenUserMod")
    _refuse_what_is_not_served(actor, given)
    change = _change_from(feature, given)
    if change != AccountChange():
        require_may_change_account(actor, target, change)
    if given.kudos is not None:
        require_admin(actor)
    if given.undelete or given.reset_suspicion:
        require_moderator(actor)
    changed: dict[str, Any] = {}
    if given.reset_suspicion:
        changed["new_suspicion"] = 0
    if given.undelete:
        feature.ledger.restore(target.account_id, by=actor.account_id)
        changed["undeleted"] = True
    if change != AccountChange():
        feature.ledger.change(target.account_id, change, by=actor.account_id)
        changed |= _changed_fields(change, target)
    if given.kudos is not None:
        feature.kudos.award(
            target.account_id, given.kudos, by=actor.account_id, reason=_AWARD_REASON
        )
        balance = feature.funds.balance(target.account_id)
        changed["new_kudos"] = kudos_from(balance.available)
    if not changed:
        raise Refused("NoUserModSelected")
    feature.authentication.forget()
    return Answer(changed)


@router.delete(
    "/users/{user_id}",
    responses={200: {"model": SimpleResponse}, **error_responses(401, 403, 404, 423)},
)
def delete_user(feature: Accounts, user_id: str, apikey: ApiKey) -> Answer:
    """Close an account and forget the person; its key opens nothing any more.

    A moderator can open it again; what was forgotten stays forgotten.
    """
    actor = feature.authentication.account(apikey)
    target = _account(feature, user_id)
    require_may_delete_account(actor, target.account_id)
    feature.ledger.delete(target.account_id, by=actor.account_id)
    feature.authentication.forget()
    return Answer({"message": "OK"})


def _account(feature: AccountsFeature, user_id: str) -> AccountEntry:
    """Return an account by the number in an address, be it deleted.

    :raises Refused: ``UserNotFound``.
    """
    number = number_from(user_id)
    if number == ANONYMOUS.number:
        return ANONYMOUS
    entry = None if number is None else feature.directory.account_by_number(number)
    if entry is None:
        raise Refused("UserNotFound")
    return entry


def _refuse_what_is_not_served(actor: AccountEntry, given: ModifyUserInput) -> None:
    """Refuse what would be dropped in silence, after the right that it takes was checked."""
    if given.usage_multiplier is not None or given.monthly_kudos is not None:
        require_admin(actor)
        raise Refused("NotServed", "usage_multiplier and monthly_kudos are not served.")
    if given.filtered is not None:
        require_moderator(actor)
        raise Refused("NotServed", "Filters of prompts are left out.")
    if given.generate_proxy_passkey:
        if not actor.roles.service:
            raise Refused("NotPrivileged")
        raise Refused("NotServed", "Passkeys of proxies are not served.")


def _change_from(feature: AccountsFeature, given: ModifyUserInput) -> AccountChange:
    content_filter = feature.content_filter
    roles = {role: getattr(given, role) for role in _ROLES if getattr(given, role) is not None}
    return AccountChange(
        name=_checked(given.username, lambda text: user_name_from(text, content_filter)),
        contact=_checked(given.contact, lambda text: contact_from(text, content_filter)),
        public_workers=given.public_workers,
        roles=roles,
        concurrency=given.concurrency,
        worker_invited=given.worker_invited,
        comment=given.admin_comment,
    )


def _checked(text: str | None, check: Callable[[str], str]) -> str | None:
    return None if text is None else check(text)


def _changed_fields(change: AccountChange, target: AccountEntry) -> dict[str, Any]:
    fields = {
        "username": None if change.name is None else handle_of(change.name, target.number),
        "contact": change.contact,
        "public_workers": change.public_workers,
        "concurrency": change.concurrency,
        "worker_invited": change.worker_invited,
        "admin_comment": change.comment,
    }
    return {name: value for name, value in fields.items() if value is not None} | dict(change.roles)
