"""Rights: who may change what about accounts. The AI Horde's rules."""

from __future__ import annotations

from collections.abc import Set
from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.changes import AccountChange
from domain.accounts.directory import AccountEntry
from domain.return_codes import Refused

ROLES_OF_ADMINS: Set[str] = frozenset({"moderator", "admin"})
"""Roles that only admins give and take; moderators do all others."""


def require_registered(actor: AccountEntry) -> None:
    """Let everybody pass but anonymous.

    :raises Refused: ``AnonForbidden``.
    """
    if actor.account_id == ANONYMOUS_ID:
        raise Refused("AnonForbidden")


def require_moderator(actor: AccountEntry) -> None:
    """Let moderators and admins pass.

    :raises Refused: ``NotModerator``.
    """
    if not actor.roles.may_moderate:
        raise Refused("NotModerator")


def require_admin(actor: AccountEntry) -> None:
    """Let admins pass.

    :raises Refused: ``NotAdmin``.
    """
    if not actor.roles.admin:
        raise Refused("NotAdmin")


def require_may_award(actor: AccountEntry) -> None:
    """Let admins pass.

    :raises Refused: ``NotAllowedAwards``.
    """
    if not actor.roles.admin:
        raise Refused("NotAllowedAwards")


def require_may_disable_batching(actor: AccountEntry | None) -> None:
    """Let trusted accounts and patrons pass.

    :raises Refused: ``RequiresTrust``.
    """
    if actor is None or not actor.roles.may_disable_batching:
        raise Refused("RequiresTrust")


def require_may_change_account(
    actor: AccountEntry, target: AccountEntry, change: AccountChange
) -> None:
    """Let those pass who may change so much of an account.

    Admins alone make moderators; moderators give the other roles, set limits and comment; its name,
    its contact and whether its workers are public are also the account's own.

    :raises Refused: ``AnonForbiddenUserMod``, ``NotAdmin`` or ``NotModerator``.
    """
    _require_no_anonymous(actor.account_id, target.account_id)
    if ROLES_OF_ADMINS & set(change.roles):
        require_admin(actor)
    # Else a moderator could take an admin's name, or flag another moderator.
    if target.roles.admin and actor.account_id != target.account_id:
        require_admin(actor)
    own = actor.account_id == target.account_id and not (
        change.roles
        or change.concurrency is not None
        or change.worker_invited is not None
        or change.comment is not None
    )
    if not own:
        require_moderator(actor)


def require_may_delete_account(actor: AccountEntry, target_id: UUID) -> None:
    """Let the account itself and moderators pass.

    :raises Refused: ``AnonForbiddenUserMod`` or ``NotUserOrMod``.
    """
    _require_no_anonymous(actor.account_id, target_id)
    if actor.account_id != target_id and not actor.roles.may_moderate:
        raise Refused("NotUserOrMod")


def require_may_delete_worker(actor: AccountEntry, owner_id: UUID) -> None:
    """Let the owner of a worker pass, and moderators.

    :raises Refused: ``NotModerator``.
    """
    if actor.account_id != owner_id:
        require_moderator(actor)


def require_owner(actor: AccountEntry, owner_id: UUID) -> None:
    """Let the owner of a worker pass, and moderators.

    :raises Refused: ``NotOwner``.
    """
    if actor.account_id != owner_id and not actor.roles.may_moderate:
        raise Refused("NotOwner")


def require_may_change_shared_key(actor: AccountEntry, owner_id: UUID) -> None:
    """Let the owner of a shared key pass, and moderators.

    :raises Refused: ``Forbidden``.
    """
    if actor.account_id != owner_id and not actor.roles.may_moderate:
        raise Refused("Forbidden")


def _require_no_anonymous(*account_ids: UUID) -> None:
    if ANONYMOUS_ID in account_ids:
        raise Refused("AnonForbiddenUserMod")
