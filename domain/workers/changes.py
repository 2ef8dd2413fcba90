"""What can be changed about a worker at once, and by whom; None leaves a thing as it is."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from domain.accounts.directory import AccountEntry
from domain.accounts.rights import require_moderator, require_owner


@dataclass(frozen=True, slots=True)
class WorkerChange:
    """A change to a worker."""

    name: str | None = None
    """1 to 100 characters."""
    info: str | None = None
    """What its owner says about it, at most 1,000 characters; empty takes it away."""
    maintenance: bool | None = None
    """Whether its owner has it out of service."""
    maintenance_message: str = ""
    """Why; told to the worker, and only while it is in maintenance."""
    paused: bool | None = None
    """Whether a moderator has it out of service."""


def require_may_change_worker(actor: AccountEntry, owner_id: UUID, change: WorkerChange) -> None:
    """Let those pass who may change so much of a worker: moderators alone pause it.

    :raises Refused: ``NotModerator`` or ``NotOwner``.
    """
    if change.paused is not None:
        require_moderator(actor)
    require_owner(actor, owner_id)
