"""Allowances: how much an account may have waiting, and what work makes it trusted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from domain.accounts.directory import AccountEntry
from domain.accounts.roles import Roles

_TRUSTED_FACTOR = 3


@dataclass(frozen=True, slots=True)
class Allowances:
    """The operator's choices about accounts."""

    concurrency: int = 30
    """Images that no worker has taken yet, of an account that has no limit of its own (the AI
    Horde's default); trusted accounts may have three times as many."""
    trust_kudos: float = 10_000
    """Kudos that an account's workers must have earned until it is trusted; infinite: trust is
    given by hand alone. The AI Horde's operators choose theirs; this is some thousand images."""
    trust_age: timedelta = timedelta(days=7)
    """How long ago an account must have been opened until work makes it trusted."""

    def images_waiting(self, account: AccountEntry) -> int:
        """Return how many images of an account may wait at a time."""
        if account.concurrency is not None:
            return account.concurrency
        return self.concurrency * (_TRUSTED_FACTOR if account.roles.trusted else 1)


def earns_trust(roles: Roles, *, earned: float, age: timedelta, allowances: Allowances) -> bool:
    """Whether an account becomes trusted now.

    :param roles: what it is already; who is trusted, or flagged, gains nothing.
    :param earned: kudos that its workers earned in all.
    :param age: how long ago it was opened.
    """
    if roles.trusted or roles.flagged:
        return False
    return earned >= allowances.trust_kudos and age >= allowances.trust_age
