"""Kudos that move by decision: sent from account to account, awarded, and trust earned by work."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID, Account
from domain.accounts.allowances import Allowances, earns_trust
from domain.accounts.directory import AccountEntry
from domain.accounts.funds import Funds
from domain.accounts.kudos import Balance, hundredths, kudos_from
from domain.ledger.core import Core
from domain.ledger.idempotency import CommandResult, IdempotencyKey
from domain.ledger.ports import Directory
from domain.return_codes import Refused

RETURN_AFTER = timedelta(minutes=1)
"""Kudos go back to the account that they came from after this long at the earliest. It is the AI
Horde's rule, against two accounts that pass the same kudos to and fro."""


class Kudos:
    """What accounts and admins do with kudos, and what sustained work brings."""

    def __init__(
        self, core: Core, directory: Directory, funds: Funds, allowances: Allowances
    ) -> None:
        """Build on the core and these ports."""
        self._core = core
        self._directory = directory
        self._funds = funds
        self._allowances = allowances

    def transfer(
        self,
        sender_id: UUID,
        receiver_id: UUID,
        kudos: float,
        *,
        key: IdempotencyKey | None = None,
    ) -> float:
        """Send kudos of one account to another and return how many, in whole hundredths.

        Only the sender's balance is locked; what arrives needs no lock.

        :param key: by which it is known when it is sent again: it is then done once.
        :raises Refused: ``KudosTransferFromAnon``, ``KudosTransferToAnon``,
            ``KudosTransferToSelf``, ``NegativeKudosTransfer``, ``InvalidKudosTransferAmount``
            (nothing), ``UserNotFound``, ``DeletedUser`` (either of them),
            ``TooFastKudosTransfers``, ``SourceAccountFlagged``, ``TargetAccountFlagged``,
            ``KudosTransferNotEnough`` or ``Locked``.
        """
        if sender_id == ANONYMOUS_ID:
            raise Refused("KudosTransferFromAnon")
        if receiver_id == ANONYMOUS_ID:
            raise Refused("KudosTransferToAnon")
        if receiver_id == sender_id:
            raise Refused("KudosTransferToSelf")
        amount = hundredths(kudos)
        if amount == 0:
            raise Refused("InvalidKudosTransferAmount")
        if amount < 0:
            raise Refused("NegativeKudosTransfer")

        def transferred() -> CommandResult:
            now = self._core.now()
            sent_before = self._funds.last_sent(receiver_id, sender_id)
            if sent_before is not None and now < sent_before + RETURN_AFTER:
                raise Refused("TooFastKudosTransfers")
            if self._existing(sender_id).roles.flagged:
                raise Refused("SourceAccountFlagged")
            receiver = self._existing(receiver_id)
            if receiver.deleted:
                raise Refused("DeletedUser")
            if receiver.roles.flagged:
                raise Refused("TargetAccountFlagged")
            with self._core.transaction():
                available = self._locked_balance(sender_id).available
                if amount > available:
                    raise Refused("KudosTransferNotEnough", kudos=kudos_from(available))
                sender = self._core.load(Account, sender_id, "UserNotFound")
                sender.send_kudos(kudos_from(amount), to=receiver_id, timestamp=now)
                self._core.save(sender)
            return CommandResult(receiver_id, kudos_from(amount))

        return self._core.once(key, transferred).kudos

    def award(self, receiver_id: UUID, kudos: float, *, by: UUID | None, reason: str) -> float:
        """Award kudos to an account, or take some; return how many.

        :param kudos: below zero to take; no more is taken than is there and not held.
        :param by: the admin who decides; None for the operator at the machine.
        :param reason: for readers of the history; it is not sealed: no personal data.
        :return: what was given (or below zero, taken), in whole hundredths.
        :raises Refused: ``KudosAwardToAnon``, ``UserNotFound``, ``DeletedUser`` or ``Locked``.
        """
        if receiver_id == ANONYMOUS_ID:
            raise Refused("KudosAwardToAnon")
        amount = hundredths(kudos)

        def awarded() -> float:
            with self._core.transaction():
                given = amount
                if amount < 0:
                    given = max(amount, -max(0, self._locked_balance(receiver_id).available))
                receiver = self._core.load(Account, receiver_id, "UserNotFound")
                receiver.award(kudos_from(given), by=by, reason=reason, timestamp=self._core.now())
                self._core.save(receiver)
                return kudos_from(given)

        return self._core.retried(awarded)

    def trust(self, account_id: UUID) -> bool:
        """Trust an account if its workers' work has earned that; return whether it is new.

        Trust that was withdrawn does not come back by itself.

        :raises Refused: ``UserNotFound``, ``DeletedUser`` or ``Locked``.
        """

        def earn_trust() -> bool:
            entry = self._existing(account_id)
            account = self._core.load(Account, account_id, "UserNotFound")
            now = self._core.now()
            earned = kudos_from(self._funds.balance(account_id).earned)
            if account.trust_withdrawn or not earns_trust(
                entry.roles,
                earned=earned,
                age=now - (entry.opened_at or now),
                allowances=self._allowances,
            ):
                return False
            account.earn_trust(timestamp=now)
            self._core.save(account)
            return True

        return self._core.retried(earn_trust)

    def _locked_balance(self, account_id: UUID) -> Balance:
        self._funds.lock(account_id)
        return self._funds.balance(account_id)

    def _existing(self, account_id: UUID) -> AccountEntry:
        entry = self._directory.account(account_id)
        if entry is None:
            raise Refused("UserNotFound")
        return entry
