"""Holding kudos: what a request may burn is set aside before anybody works on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.allowances import Allowances
from domain.accounts.directory import SharedKeyEntry
from domain.accounts.funds import Funds
from domain.accounts.kudos import hold_for, hundredths, priority_after
from domain.ledger.ports import Directory
from domain.ports import Clock
from domain.requests.pricing import Quote
from domain.requests.specification import SubmitRequest
from domain.return_codes import Refused


@dataclass(frozen=True, slots=True)
class Hold:
    """What was set aside for a request."""

    held: float
    """Kudos; 0 for anonymous, which has none."""
    priority: float
    """Higher is served first: what is left of the account's kudos, 0 or more."""
    is_funded: bool
    """Whether the whole price was there."""


_NOTHING = Hold(held=0.0, priority=0.0, is_funded=False)


class KudosHolds:
    """What a payer's balance decides."""

    def __init__(
        self, funds: Funds, directory: Directory, allowances: Allowances, clock: Clock
    ) -> None:
        """Hold kudos of these funds."""
        self._funds = funds
        self._directory = directory
        self._allowances = allowances
        self._clock = clock

    def covers(self, account_id: UUID, price: Quote) -> bool:
        """Whether the kudos of an account cover a price now; those of anonymous never do."""
        if account_id == ANONYMOUS_ID:
            return False
        return self._funds.balance(account_id).available >= hundredths(price.total)

    def hold(self, command: SubmitRequest, price: Quote) -> Hold:
        """Set the price of a request aside, within the transaction that submits it.

        A registered payer is locked until that transaction ends, so that no two of its requests
        decide on the same kudos. Of anonymous nothing is read or locked: strangers never meet here.

        :raises Refused: ``InvalidAPIKey`` (no such account), ``KudosUpfront``, ``TooManyPrompts``,
            ``SharedKeyInvalid``, ``SharedKeyExpired``, ``SharedKeyEmpty`` or
            ``SharedKeyInsufficientKudos``.
        """
        if command.requester.account_id == ANONYMOUS_ID:
            if command.upfront:
                raise Refused("KudosUpfront", kudos=price.total)
            return _NOTHING
        key = self._shared_key(command) if command.requester.shared_key_id else None
        account = self._funds.lock(command.requester.account_id)
        if account is None or account.deleted:
            raise Refused("InvalidAPIKey")
        most = self._allowances.images_waiting(account)
        payer = self._funds.payer_state(account.account_id, most=most)
        waiting = command.specification.images + payer.waiting
        if waiting > most:
            raise Refused("TooManyPrompts", waiting=waiting, concurrency=most)
        balance = payer.balance
        if key is not None and key.limits.kudos is not None:
            self._require_left(key.shared_key_id, key.limits.kudos, price)
        held = hold_for(price.total, balance)
        is_funded = hundredths(held) == hundredths(price.total)
        if command.upfront and not is_funded:
            raise Refused("KudosUpfront", kudos=price.total)
        return Hold(held=held, priority=priority_after(held, balance), is_funded=is_funded)

    def _shared_key(self, command: SubmitRequest) -> SharedKeyEntry:
        """Return the shared key that was shown, if it goes as far as this request."""
        assert command.requester.shared_key_id is not None
        key = self._directory.shared_key(command.requester.shared_key_id)
        if key is None or key.owner_id != command.requester.account_id:
            raise Refused("SharedKeyInvalid")
        _require_within(key, command, self._clock.now())
        return key

    def _require_left(self, shared_key_id: UUID, limit: int, price: Quote) -> None:
        """Require that a shared key may still spend so much; its owner's lock makes it exact."""
        left = hundredths(limit) - self._funds.balance(shared_key_id).spent
        if left <= 0:
            raise Refused("SharedKeyEmpty")
        if hundredths(price.total) > left:
            raise Refused("SharedKeyInsufficientKudos", kudos=price.total)


def _require_within(key: SharedKeyEntry, command: SubmitRequest, now: datetime) -> None:
    limits = key.limits
    if limits.ends_at is not None and now >= limits.ends_at:
        raise Refused("SharedKeyExpired")
    settings = command.specification.settings
    if limits.max_image_pixels is not None and settings.pixels > limits.max_image_pixels:
        raise Refused(
            "SharedKeyInsufficientKudos",
            f"This shared key is for images of up to {limits.max_image_pixels} pixels.",
        )
    if limits.max_image_steps is not None and settings.steps > limits.max_image_steps:
        raise Refused(
            "SharedKeyInsufficientKudos",
            f"This shared key is for up to {limits.max_image_steps} steps.",
        )
