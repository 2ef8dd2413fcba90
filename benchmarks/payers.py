"""Accounts that ask and pay, so that balances, holds and limits are measured along."""

from __future__ import annotations

from domain.accounts.changes import AccountChange
from domain.accounts.roles import Roles
from infrastructure.bootstrap import Hoard
from infrastructure.keys.api_keys import digest_of, new_api_key

PAYERS = 1000
"""So many that the deep queue stays within what each of them may have waiting."""

_MOST_WAITING = 500
_KUDOS = 1_000_000.0


def open_payers(hoard: Hoard, number: int = PAYERS) -> list[str]:
    """Open accounts that have kudos and may have 500 images waiting; return their API keys."""
    keys = [new_api_key() for _ in range(number)]
    limits = AccountChange(concurrency=_MOST_WAITING)
    for place, key in enumerate(keys):
        with hoard.storage.ledger_database.transaction():
            account_id = hoard.ledger.accounts.open(f"payer {place}", digest_of(key), Roles())
            hoard.ledger.accounts.change(account_id, limits, by=None)
            hoard.ledger.kudos.award(account_id, _KUDOS, by=None, reason="benchmark")
    return keys
