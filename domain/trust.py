"""Trust that comes by itself: an account whose workers did good work for long enough gets it.

Source of the rule: the AI Horde's. An account is at least a week old and its workers have earned a
sum that the operator chooses; nobody who is suspected of misuse is trusted so.
"""

from __future__ import annotations

from datetime import timedelta

from domain.allowances import Allowances
from domain.roles import Roles


def earns_trust(roles: Roles, *, earned: float, age: timedelta, allowances: Allowances) -> bool:
    """Whether an account becomes trusted now.

    :param roles: what it is already; who is trusted, or flagged, gains nothing.
    :param earned: kudos that its workers earned in all.
    :param age: how long ago it was opened.
    """
    if roles.trusted or roles.flagged:
        return False
    return earned >= allowances.trust_kudos and age >= allowances.trust_age
