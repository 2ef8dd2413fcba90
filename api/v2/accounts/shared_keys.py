"""Shared keys: an account lends them out, with limits and an end.

A shared key is a random UUID, as the AI Horde's clients expect. It is shown once, when it is made,
and stored as its digest, like every key. Half of that digest is its public id: what the owner's
details list, and what it can be looked up, changed and deleted by as well as by the key itself.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from fastapi import APIRouter

from api.http.answer import NOT_KEPT, Answer
from api.http.authentication import ApiKey
from api.http.bodies import RawBody, read_body
from api.http.openapi import error_responses, request_body
from api.http.parameters import uuid_from
from api.http.schemas import SimpleResponse
from api.v2.accounts.feature import Accounts, AccountsFeature
from api.v2.accounts.schemas import DEFAULT_KUDOS, SharedKeyDetails, SharedKeyInput
from domain.accounts.directory import SharedKeyEntry
from domain.accounts.kudos import Balance, hundredths, kudos_from
from domain.accounts.rights import require_may_change_shared_key, require_registered
from domain.accounts.shared_key import KeyLimits
from domain.return_codes import Refused

router = APIRouter(tags=["shared keys"], default_response_class=Answer)

_UNLIMITED = -1


@router.put(
    "/sharedkeys",
    responses={200: {"model": SharedKeyDetails}, **error_responses(400, 401, 403, 423)},
    openapi_extra=request_body(SharedKeyInput),
)
def make_shared_key(feature: Accounts, raw: RawBody, apikey: ApiKey) -> Answer:
    """Make a shared key. Its ``id`` is the key: it cannot be shown again."""
    owner = feature.authentication.account(apikey)
    require_registered(owner)
    given = read_body(SharedKeyInput, raw)
    fresh = KeyLimits(kudos=DEFAULT_KUDOS)
    limits = _limits(feature, fresh, given, Balance())
    key = str(feature.random_source.new_id())
    key_id = feature.shared_keys.issue(
        owner.account_id, name=given.name or "", key_digest=feature.key_digest(key), limits=limits
    )
    return Answer(_body(feature, _entry(feature, key_id), shown_as=key), headers=NOT_KEPT)


@router.get(
    "/sharedkeys/{sharedkey_id}",
    responses={200: {"model": SharedKeyDetails}, **error_responses(401)},
)
def shared_key(feature: Accounts, sharedkey_id: str) -> Answer:
    """Describe a shared key, by the key or its public id."""
    return Answer(
        _body(feature, _found(feature, sharedkey_id), shown_as=sharedkey_id), headers=NOT_KEPT
    )


@router.patch(
    "/sharedkeys/{sharedkey_id}",
    responses={200: {"model": SharedKeyDetails}, **error_responses(400, 401, 403, 423)},
    openapi_extra=request_body(SharedKeyInput),
)
def change_shared_key(feature: Accounts, sharedkey_id: str, raw: RawBody, apikey: ApiKey) -> Answer:
    """Change the given fields: its owner and moderators may."""
    actor = feature.authentication.account(apikey)
    entry = _found(feature, sharedkey_id)
    require_may_change_shared_key(actor, entry.owner_id)
    given = read_body(SharedKeyInput, raw)
    if given == SharedKeyInput():
        raise Refused("NoSharedKeyModSelected")
    used = feature.funds.balance(entry.shared_key_id)
    limits = _limits(feature, entry.limits, given, used)
    name = entry.name if given.name is None else given.name
    feature.shared_keys.change(entry.shared_key_id, name=name, limits=limits)
    feature.authentication.forget()
    changed = _entry(feature, entry.shared_key_id)
    return Answer(_body(feature, changed, shown_as=sharedkey_id), headers=NOT_KEPT)


@router.delete(
    "/sharedkeys/{sharedkey_id}",
    responses={200: {"model": SimpleResponse}, **error_responses(400, 401, 403, 423)},
)
def delete_shared_key(feature: Accounts, sharedkey_id: str, apikey: ApiKey) -> Answer:
    """Take a shared key back for good: its owner and moderators may."""
    actor = feature.authentication.account(apikey)
    entry = _found(feature, sharedkey_id)
    require_may_change_shared_key(actor, entry.owner_id)
    feature.shared_keys.revoke(entry.shared_key_id)
    feature.authentication.forget()
    return Answer({"message": "OK"})


def _found(feature: AccountsFeature, key_or_id: str) -> SharedKeyEntry:
    """Return a shared key by the key itself or its public id.

    :raises Refused: ``InvalidAPIKey``.
    """
    entry = feature.directory.shared_key_by_digest(feature.key_digest(key_or_id))
    public_id = None if entry is not None else uuid_from(key_or_id)
    if public_id is not None:
        entry = feature.directory.shared_key(public_id)
    if entry is None:
        raise Refused("InvalidAPIKey", "There is no such shared key.")
    return entry


def _entry(feature: AccountsFeature, shared_key_id: UUID) -> SharedKeyEntry:
    entry = feature.directory.shared_key(shared_key_id)
    if entry is None:
        raise Refused("SharedKeyInvalid")
    return entry


def _limits(
    feature: AccountsFeature, known: KeyLimits, given: SharedKeyInput, used: Balance
) -> KeyLimits:
    """Return the limits that are wanted. What clients set is what is left; we keep it in all."""
    limits = known
    if given.kudos is not None:
        spent = -(-used.spent // hundredths(1))
        in_all = None if given.kudos == _UNLIMITED else given.kudos + spent
        limits = replace(limits, kudos=in_all)
    if given.expiry is not None:
        ends_at = feature.clock.now() + timedelta(days=given.expiry)
        limits = replace(limits, ends_at=None if given.expiry == _UNLIMITED else ends_at)
    if given.max_image_pixels is not None:
        limits = replace(limits, max_image_pixels=_limit(given.max_image_pixels))
    if given.max_image_steps is not None:
        limits = replace(limits, max_image_steps=_limit(given.max_image_steps))
    return limits


def _limit(given: int) -> int | None:
    return None if given == _UNLIMITED else given


def _body(feature: AccountsFeature, key: SharedKeyEntry, *, shown_as: str) -> dict[str, Any]:
    owner = feature.directory.account(key.owner_id)
    used = feature.funds.balance(key.shared_key_id)
    spent = kudos_from(used.spent)
    limits = key.limits
    return {
        "id": shown_as,
        "username": owner.handle if owner is not None else "",
        "name": key.name,
        "kudos": _UNLIMITED if limits.kudos is None else max(0, int(limits.kudos - spent)),
        "expiry": limits.ends_at,
        "utilized": round(spent),
        "max_image_pixels": _shown(limits.max_image_pixels),
        "max_image_steps": _shown(limits.max_image_steps),
        "max_text_tokens": _UNLIMITED,
    }


def _shown(limit: int | None) -> int:
    return _UNLIMITED if limit is None else limit
