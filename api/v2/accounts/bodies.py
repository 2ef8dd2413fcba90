"""Bodies about accounts."""

from __future__ import annotations

from typing import Any

from api.v2.accounts.feature import AccountsFeature
from api.v2.accounts.visibility import Visibility
from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.directory import AccountEntry
from domain.accounts.kudos import kudos_from
from domain.names import handle_of
from domain.sealing import Forgotten, Sealed
from projections.accounts.reader import AccountRecord

_MOST_ACTIVE = 500
_MILLION = 1_000_000


def account_body(
    feature: AccountsFeature, account: AccountEntry, visibility: Visibility
) -> dict[str, Any]:
    """Return an account as v2 shows it, limited to what the reader may see."""
    record = feature.records.record(account.account_id)
    workers = feature.directory.workers_owned_by(account.account_id)
    balance = feature.funds.balance(account.account_id)
    roles = account.roles
    age = 0.0
    if account.opened_at is not None:
        age = (feature.clock.now() - account.opened_at).total_seconds()
    body: dict[str, Any] = {
        "username": handle_of(account.name, account.number),
        "id": account.number,
        "kudos": kudos_from(balance.available),
        "kudos_details": {
            "accumulated": kudos_from(balance.earned - balance.burnt),
            "gifted": kudos_from(-balance.sent),
            "donated": 0.0,
            "admin": 0.0,
            "received": kudos_from(balance.received),
            "recurring": 0.0,
            "awarded": kudos_from(balance.awarded),
            "styled": 0.0,
        },
        "concurrency": feature.allowances.images_waiting(account),
        "worker_invited": account.worker_invited,
        "worker_count": len(workers),
        "styles": [],
        "moderator": roles.may_moderate,
        "trusted": roles.trusted,
        "flagged": roles.flagged,
        "service": roles.service,
        "education": roles.education,
        "pseudonymous": True,
        "account_age": int(age),
        **_activity(record),
    }
    if account.account_id == ANONYMOUS_ID:
        return body
    if account.public_workers or visibility >= Visibility.OWN:
        body["worker_ids"] = [worker.worker_id for worker in workers]
    if visibility >= Visibility.OWN:
        body |= _own(feature, account)
    if visibility >= Visibility.MODERATOR:
        comment = feature.directory.notes_on(account.account_id).comment
        body |= {
            "evaluating_kudos": 0.0,
            "deleted": account.deleted,
            "suspicious": 0,
            "admin_comment": _opened(feature, comment),
        }
    return body


def _own(feature: AccountsFeature, account: AccountEntry) -> dict[str, Any]:
    account_id, roles = account.account_id, account.roles
    keys = feature.directory.shared_keys_of(account_id)
    active = feature.records.open_requests(account_id, _MOST_ACTIVE)
    return {
        "sharedkey_ids": [key.shared_key_id for key in keys],
        "active_generations": {"text": [], "image": active, "alchemy": []},
        "monthly_kudos": {"amount": 0, "last_received": None},
        "vpn": roles.vpn,
        "customizer": roles.customizer,
        "special": roles.special,
        "contact": _opened(feature, feature.directory.notes_on(account_id).contact),
    }


def _activity(record: AccountRecord) -> dict[str, Any]:
    used, made = record.pixelsteps_used / _MILLION, record.pixelsteps_made / _MILLION
    none = {"image": 0, "text": 0, "interrogation": 0}
    return {
        "usage": {"megapixelsteps": round(used, 2), "requests": record.requests},
        "contributions": {"megapixelsteps": round(made, 2), "fulfillments": record.images_made},
        "records": {
            "usage": {"megapixelsteps": round(used, 2), "tokens": 0},
            "contribution": {"megapixelsteps": round(made, 2), "tokens": 0},
            "fulfillment": none | {"image": record.images_made},
            "request": none | {"image": record.images_used},
            "style": none,
        },
    }


def _opened(feature: AccountsFeature, sealed: Sealed | None) -> str | None:
    if sealed is None:
        return None
    try:
        return feature.sealer.open(sealed)
    except Forgotten:
        return None
