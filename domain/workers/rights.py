"""Rights: who may change what about workers. The AI Horde's rules."""

from __future__ import annotations

from uuid import UUID

from domain.accounts.directory import AccountEntry
from domain.accounts.rights import require_moderator, require_owner
from domain.workers.changes import WorkerChange


def require_may_change_worker(actor: AccountEntry, owner_id: UUID, change: WorkerChange) -> None:
    """Let those pass who may change so much of a worker: moderators alone pause it.

    :raises Refused: ``NotModerator`` or ``NotOwner``.
    """
    if change.paused is not None:
        require_moderator(actor)
    require_owner(actor, owner_id)
