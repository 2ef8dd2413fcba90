"""The port to balances: exact, and locked while one account spends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.accounts.directory import AccountEntry
from domain.accounts.kudos import Balance


@dataclass(frozen=True, slots=True)
class PayerState:
    """What decides whether a locked account may have one more request."""

    balance: Balance
    waiting: int
    """Images of its requests that wait for a worker."""


class Funds(Protocol):
    """Exact balances: they change in the same transaction as the events."""

    def lock(self, account_id: UUID) -> AccountEntry | None:
        """Lock an account: no other transaction spends from it until this one ends.

        What arrives meanwhile (rewards, transfers, refunds) needs no lock and only adds to it.
        """

    def payer_state(self, account_id: UUID, *, most: int) -> PayerState:
        """Return what an account may spend, once this thread's transaction has locked it.

        :param most: how many of its requests are looked at for what waits.
        """

    def balance(self, holder_id: UUID) -> Balance:
        """Return the balance of an account, or what was held and burnt under a shared key."""

    def last_sent(self, sender_id: UUID, receiver_id: UUID) -> datetime | None:
        """Return when one account last sent kudos to another, None for never."""
