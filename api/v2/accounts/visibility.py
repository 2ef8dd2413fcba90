"""How much of an account or a worker somebody sees."""

from __future__ import annotations

from enum import IntEnum
from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.directory import AccountEntry


class Sight(IntEnum):
    """Whoever sees more sees all that those below see."""

    PUBLIC = 0
    OWN = 1
    MODERATOR = 2


def sight_of(viewer: AccountEntry | None, owner_id: UUID) -> Sight:
    """Return how much a viewer sees of what belongs to an account.

    :param viewer: None, and anonymous, is everybody.
    """
    if viewer is None or viewer.account_id == ANONYMOUS_ID:
        return Sight.PUBLIC
    if viewer.roles.may_moderate:
        return Sight.MODERATOR
    return Sight.OWN if viewer.account_id == owner_id else Sight.PUBLIC
