"""What must become of kudos, said a second time and in other words than the ledger's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from domain.accounts.kudos import Balance


@dataclass(frozen=True)
class ModelPayer:
    """Who asks: an account (None: anonymous), perhaps with a shared key of its own."""

    account_id: UUID | None = None
    shared_key_id: UUID | None = None
    key_limit: int | None = None
    """In hundredths."""

    @property
    def holders(self) -> Sequence[UUID]:
        """Whose balances its requests move."""
        return [holder for holder in (self.account_id, self.shared_key_id) if holder is not None]


@dataclass
class ModelHold:
    """What one request holds and burns, in hundredths."""

    holders: Sequence[UUID]
    held: int
    per_image: float
    burnt: int = 0
    is_open: bool = True


@dataclass
class KudosModel:
    """Every balance, as plain sums."""

    balances: dict[UUID, Counter[str]] = field(default_factory=dict)
    accounts: list[UUID] = field(default_factory=list)
    holds: list[ModelHold] = field(default_factory=list)
    sent_at: dict[tuple[UUID, UUID], datetime] = field(default_factory=dict)

    def open(self, holder_id: UUID, *, is_account: bool = True) -> None:
        """Start a balance of nothing."""
        self.balances[holder_id] = Counter()
        if is_account:
            self.accounts.append(holder_id)

    def amount(self, account_id: UUID) -> int:
        """What an account has, what is held included."""
        sums = self.balances[account_id]
        gained = sums["earned"] + sums["received"] + sums["awarded"]
        return gained - sums["burnt"] - sums["sent"]

    def available(self, account_id: UUID) -> int:
        """What an account could spend now."""
        return self.amount(account_id) - self.balances[account_id]["held"]

    def refusal(self, payer: ModelPayer, price: int, *, upfront: bool) -> str | None:
        """The code with which a request of this price is refused, None if it is taken."""
        if payer.key_limit is not None and payer.shared_key_id is not None:
            key = self.balances[payer.shared_key_id]
            left = payer.key_limit - key["burnt"] - key["held"]
            if left <= 0:
                return "SharedKeyEmpty"
            if price > left:
                return "SharedKeyInsufficientKudos"
        has = 0 if payer.account_id is None else self.available(payer.account_id)
        return "KudosUpfront" if upfront and has < price else None

    def hold(self, payer: ModelPayer, price: int, per_image: float) -> ModelHold:
        """Set aside what there is, up to the price."""
        held = 0 if payer.account_id is None else min(price, self.available(payer.account_id))
        for holder in payer.holders:
            self.balances[holder]["held"] += held
        made = ModelHold(payer.holders, held, per_image)
        self.holds.append(made)
        return made

    def burn(self, hold: ModelHold, delivered: int) -> None:
        """Burn what so many images in all cost, and no more than was held."""
        cost = round((hold.per_image * delivered + 1) * 100) if delivered else 0
        more = min(hold.held, cost) - hold.burnt
        hold.burnt += more
        for holder in hold.holders:
            self.balances[holder]["burnt"] += more
            self.balances[holder]["held"] -= more

    def end(self, hold: ModelHold, delivered: int) -> None:
        """Burn what was delivered and give the rest back."""
        self.burn(hold, delivered)
        hold.is_open = False
        for holder in hold.holders:
            self.balances[holder]["held"] -= hold.held - hold.burnt

    def reward(self, owner_id: UUID, amount: int) -> None:
        """Let a worker's owner earn."""
        self.balances[owner_id]["earned"] += amount

    def award(self, account_id: UUID, amount: int) -> int:
        """Give, or take no more than there is; return what was given."""
        given = max(amount, -self.available(account_id))
        self.balances[account_id]["awarded"] += given
        return given

    def transfer(self, sender: UUID, receiver: UUID, amount: int, now: datetime) -> str | None:
        """Send kudos and return None, or the code of the refusal."""
        if sender == receiver:
            return "KudosTransferToSelf"
        back = self.sent_at.get((receiver, sender))
        if back is not None and now - back < timedelta(minutes=1):
            return "TooFastKudosTransfers"
        if amount > self.available(sender):
            return "KudosTransferNotEnough"
        self.balances[sender]["sent"] += amount
        self.balances[receiver]["received"] += amount
        self.sent_at[sender, receiver] = now
        return None

    def agrees_with(self, holder_id: UUID, balance: Balance) -> bool:
        """Whether a real balance is this one's, figure by figure."""
        sums = self.balances[holder_id]
        return all(
            getattr(balance, figure) == sums[figure]
            for figure in ("earned", "burnt", "sent", "received", "awarded", "held")
        )

    def adds_up(self, balances: dict[UUID, Balance]) -> None:
        """Require of the real balances of all accounts what must hold whatever happened."""
        accounts = [balances[account_id] for account_id in self.accounts]
        minted = sum(each.awarded + each.earned for each in accounts)
        burnt = sum(each.burnt for each in accounts)
        assert sum(each.amount for each in accounts) == minted - burnt
        for account_id in self.accounts:
            holds = [h for h in self.holds if h.is_open and account_id in h.holders]
            assert balances[account_id].held == sum(h.held - h.burnt for h in holds)
            assert balances[account_id].available >= 0
