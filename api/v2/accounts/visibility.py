"""Visibility: how much of an account or a worker a reader may see."""

from __future__ import annotations

from enum import IntEnum
from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.directory import AccountEntry


class Visibility(IntEnum):
    """Levels of visibility; each includes those below it."""

    PUBLIC = 0
    OWN = 1
    MODERATOR = 2


def visibility_of(viewer: AccountEntry | None, owner_id: UUID) -> Visibility:
    """Return how much a viewer sees of what belongs to an account.

    :param viewer: None, and anonymous, is everybody.
    """
    if viewer is None or viewer.account_id == ANONYMOUS_ID:
        return Visibility.PUBLIC
    if viewer.roles.may_moderate:
        return Visibility.MODERATOR
    return Visibility.OWN if viewer.account_id == owner_id else Visibility.PUBLIC
