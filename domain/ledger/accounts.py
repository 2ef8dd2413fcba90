"""Accounts: opened, changed by those who may, given another key, closed and opened again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID, Account
from domain.accounts.changes import AccountChange
from domain.accounts.roles import Roles
from domain.ledger.core import Core
from domain.ledger.ports import Directory
from domain.ports import RandomSource
from domain.return_codes import Refused
from domain.sealing import Sealed, Sealer


class Accounts:
    """What becomes of accounts; rights are checked before (domain/accounts/rights.py).

    Each is refused for anonymous, of which nothing can be changed: ``AnonForbiddenUserMod``.
    """

    def __init__(
        self, core: Core, directory: Directory, sealer: Sealer, random_source: RandomSource
    ) -> None:
        """Build on the core and these ports."""
        self._core = core
        self._directory = directory
        self._sealer = sealer
        self._random_source = random_source

    def open(self, name: str, key_digest: str, roles: Roles, *, contact: str = "") -> UUID:
        """Open an account under the SHA-256 of its API key and return its id.

        :param contact: how to reach the account's holder; empty for none.
        :raises Refused: ``Locked``.
        """

        def open_one() -> UUID:
            # Two who take one number at once meet in a unique index, and the later one tries again.
            account_id = self._random_source.new_id()
            with self._core.transaction():
                account = Account.open(
                    account_id,
                    name=name,
                    number=self._directory.next_account_number(),
                    key_digest=key_digest,
                    roles=roles,
                    contact=self._sealed(account_id, contact),
                    timestamp=self._core.now(),
                )
                self._core.save(account)
            return account_id

        return self._core.retried(open_one)

    def change(self, account_id: UUID, change: AccountChange, *, by: UUID | None) -> None:
        """Apply every field of a change, or none.

        :param by: the account that decides; None for the operator at the machine.
        :raises Refused: ``AnonForbiddenUserMod``, ``UserNotFound``, ``DeletedUser`` or ``Locked``.
        """

        def change_all() -> None:
            with self._core.transaction():
                account = self._account(account_id)
                self._apply(account, change, by, self._core.now())
                self._core.save(account)

        self._core.retried(change_all)

    def regenerate_key(self, account_id: UUID, key_digest: str) -> None:
        """Let an account have another key; the old one opens nothing from now on.

        :param key_digest: SHA-256 of the new key, hexadecimal.
        :raises Refused: ``AnonForbiddenUserMod``, ``UserNotFound``, ``DeletedUser`` or ``Locked``.
        """

        def regenerate() -> None:
            account = self._account(account_id)
            account.regenerate_key(key_digest, timestamp=self._core.now())
            self._core.save(account)

        self._core.retried(regenerate)

    def delete(self, account_id: UUID, *, by: UUID | None) -> None:
        """Close an account and forget the person; closed already is no error.

        The key of what was sealed for it is thrown away at once: prompts, contact and addresses in
        its events can never be read again. Its requests that wait end when they would be worked on.

        :raises Refused: ``AnonForbiddenUserMod``, ``UserNotFound``, ``CannotDeleteMod`` or
            ``Locked``.
        """

        def close() -> None:
            with self._core.transaction():
                account = self._account(account_id)
                if account.roles.may_moderate:
                    raise Refused("CannotDeleteMod")
                account.delete(by=by, timestamp=self._core.now())
                self._core.save(account)
                self._sealer.forget(account_id)

        self._core.retried(close)

    def restore(self, account_id: UUID, *, by: UUID | None) -> None:
        """Open a closed account again, under the key that it had.

        What was forgotten of it stays forgotten.

        :raises Refused: ``AnonForbiddenUserMod``, ``UserNotFound``, ``UserNotDeleted`` or
            ``Locked``.
        """

        def open_again() -> None:
            account = self._account(account_id)
            account.restore(by=by, timestamp=self._core.now())
            self._core.save(account)

        self._core.retried(open_again)

    def _account(self, account_id: UUID) -> Account:
        if account_id == ANONYMOUS_ID:
            raise Refused("AnonForbiddenUserMod")
        return self._core.load(Account, account_id, "UserNotFound")

    def _apply(
        self, account: Account, change: AccountChange, by: UUID | None, now: datetime
    ) -> None:
        if change.name is not None:
            account.rename(change.name, timestamp=now)
        if change.contact is not None:
            account.change_contact(self._sealed(account.id, change.contact), timestamp=now)
        if change.public_workers is not None:
            account.publish_workers(change.public_workers, timestamp=now)
        if change.roles:
            account.change_roles(replace(account.roles, **change.roles), by=by, timestamp=now)
        if change.concurrency is not None or change.worker_invited is not None:
            account.change_limits(
                concurrency=(
                    account.concurrency if change.concurrency is None else change.concurrency
                ),
                worker_invited=(
                    account.worker_invited
                    if change.worker_invited is None
                    else change.worker_invited
                ),
                by=by,
                timestamp=now,
            )
        if change.comment is not None:
            account.comment_on(self._sealed(account.id, change.comment), by=by, timestamp=now)

    def _sealed(self, account_id: UUID, text: str) -> Sealed | None:
        return self._sealer.seal(account_id, text) if text else None
