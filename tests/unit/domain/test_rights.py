"""Who may change what about accounts and workers, case by case."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from api.http.authentication import ANONYMOUS
from domain.accounts.changes import AccountChange
from domain.accounts.directory import AccountEntry
from domain.accounts.rights import require_may_change_account, require_may_delete_account
from domain.accounts.roles import Roles
from domain.return_codes import Refused
from domain.workers.changes import WorkerChange
from domain.workers.rights import require_may_change_worker

SOMEBODY = AccountEntry(uuid4(), "somebody", Roles(), number=1)
ANOTHER = AccountEntry(uuid4(), "another", Roles(trusted=True, service=True), number=2)
MODERATOR = AccountEntry(uuid4(), "mod", Roles(moderator=True), number=3)
ADMIN = AccountEntry(uuid4(), "admin", Roles(admin=True), number=4)

OWN = AccountChange(name="new name", contact="me@example.com", public_workers=True)
TRUST = AccountChange(roles={"trusted": True})
PROMOTION = AccountChange(roles={"moderator": True})


def refusal(check: object, *arguments: object) -> str | None:
    assert callable(check)
    try:
        check(*arguments)
    except Refused as refused:
        return refused.code.name
    return None


@pytest.mark.parametrize(
    ("actor", "target", "change", "code"),
    [
        (SOMEBODY, SOMEBODY, OWN, None),
        (ANOTHER, SOMEBODY, OWN, "NotModerator"),
        (MODERATOR, SOMEBODY, OWN, None),
        (SOMEBODY, SOMEBODY, TRUST, "NotModerator"),
        (SOMEBODY, SOMEBODY, AccountChange(concurrency=500), "NotModerator"),
        (SOMEBODY, SOMEBODY, AccountChange(worker_invited=5), "NotModerator"),
        (SOMEBODY, SOMEBODY, AccountChange(comment="nice"), "NotModerator"),
        (MODERATOR, SOMEBODY, TRUST, None),
        (MODERATOR, SOMEBODY, PROMOTION, "NotAdmin"),
        (MODERATOR, MODERATOR, AccountChange(roles={"admin": True}), "NotAdmin"),
        (MODERATOR, ADMIN, AccountChange(roles={"flagged": True}), "NotAdmin"),
        (MODERATOR, ADMIN, OWN, "NotAdmin"),
        (ADMIN, SOMEBODY, PROMOTION, None),
        (ADMIN, ADMIN, TRUST, None),
        (ANONYMOUS, SOMEBODY, OWN, "AnonForbiddenUserMod"),
        (ADMIN, ANONYMOUS, TRUST, "AnonForbiddenUserMod"),
    ],
)
def test_changing_an_account(
    actor: AccountEntry, target: AccountEntry, change: AccountChange, code: str | None
) -> None:
    assert refusal(require_may_change_account, actor, target, change) == code


@pytest.mark.parametrize(
    ("actor", "target_id", "code"),
    [
        (SOMEBODY, SOMEBODY.account_id, None),
        (ANOTHER, SOMEBODY.account_id, "NotUserOrMod"),
        (MODERATOR, SOMEBODY.account_id, None),
        (ADMIN, ANONYMOUS.account_id, "AnonForbiddenUserMod"),
    ],
)
def test_deleting_an_account(actor: AccountEntry, target_id: UUID, code: str | None) -> None:
    assert refusal(require_may_delete_account, actor, target_id) == code


@pytest.mark.parametrize(
    ("actor", "change", "code"),
    [
        (SOMEBODY, WorkerChange(maintenance=True, name="n", info="i"), None),
        (SOMEBODY, WorkerChange(paused=False), "NotModerator"),
        (ANOTHER, WorkerChange(info="mine"), "NotOwner"),
        (MODERATOR, WorkerChange(paused=True, name="n"), None),
        (ADMIN, WorkerChange(paused=True), None),
    ],
)
def test_changing_a_worker_of_somebody(
    actor: AccountEntry, change: WorkerChange, code: str | None
) -> None:
    assert refusal(require_may_change_worker, actor, SOMEBODY.account_id, change) == code
