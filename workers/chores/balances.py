"""Balances: keep them short, and trust the accounts whose workers earned it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import isinf
from typing import Protocol
from uuid import UUID

import structlog

from domain.accounts.allowances import Allowances
from domain.return_codes import Refused

_log = structlog.get_logger(__name__)

PORTION = 500
"""The most balances that are folded in one transaction, and accounts looked at for trust."""

_MOST_PORTIONS = 20


class Balances(Protocol):
    """The kudos view as these chores see it."""

    def fold(self, limit: int) -> int:
        """Fold the entries of up to so many holders and return of how many."""

    def trust_candidates(
        self, *, earned: float, opened_before: datetime, limit: int
    ) -> Sequence[UUID]:
        """Return accounts that are not trusted and whose work may have earned that."""


class Trusting(Protocol):
    """The ledger as it is seen from here."""

    def trust(self, account_id: UUID) -> bool:
        """Trust an account if its workers' work has earned that; return whether it is new."""


def fold_balances(balances: Balances) -> int:
    """Fold what entries there are and return of how many balances.

    Any number of processes may do so at once: a balance that another one has is passed over.
    """
    folded = 0
    for _ in range(_MOST_PORTIONS):
        portion = balances.fold(PORTION)
        folded += portion
        if portion < PORTION:
            break
    return folded


def give_trust(balances: Balances, ledger: Trusting, allowances: Allowances, now: datetime) -> int:
    """Trust every account that has earned it, and return how many are new."""
    if isinf(allowances.trust_kudos):
        return 0
    candidates = balances.trust_candidates(
        earned=allowances.trust_kudos,
        opened_before=now - allowances.trust_age,
        limit=PORTION,
    )
    trusted = 0
    for account_id in candidates:
        try:
            trusted += ledger.trust(account_id)
        except Refused as refusal:
            _log.info("not trusted", account_id=str(account_id), rc=refusal.code.name)
    if trusted:
        _log.info("trusted for good work", accounts=trusted)
    return trusted
