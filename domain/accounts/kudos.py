"""Kudos as sums: exact to the hundredth, whatever is added up."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

TAX_PER_REQUEST = 1.0
"""What a request burns beside its images, once any of them is there."""

MOST_PRIORITY = 10_000_000.0
"""What is left of an account's kudos counts up to here; above, first come is first served."""


def hundredths(kudos: float) -> int:
    """Return kudos as a whole number of hundredths, in which sums are exact."""
    return round(kudos * 100)


def kudos_from(amount: int) -> float:
    """Return hundredths as kudos."""
    return amount / 100


def burnt_by(delivered: int, *, per_image: float, held: float) -> float:
    """Return what a request has burnt in all once so many of its images are submitted.

    :param per_image: what one image burns, unrounded.
    :param held: what was held for the request; it never burns more.
    """
    if not delivered:
        return 0.0
    price = hundredths(per_image * delivered + TAX_PER_REQUEST)
    return kudos_from(min(hundredths(held), price))


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose kudos a request holds and burns."""

    account_id: UUID
    shared_key_id: UUID | None = None
    """The shared key that was shown instead of the account's own, and that counts along."""


@dataclass(frozen=True, slots=True)
class Balance:
    """What became of an account's kudos, or of those spent under a shared key, in hundredths.

    Each figure is a sum over all time and 0 or more, but for ``awarded``, which may be below zero.
    """

    earned: int = 0
    """By its workers, for images that they submitted."""
    burnt: int = 0
    """For images that it asked for."""
    sent: int = 0
    """To other accounts."""
    received: int = 0
    """From other accounts."""
    awarded: int = 0
    """By admins, out of nowhere, less what they took."""
    held: int = 0
    """Set aside now for requests that are not over."""

    @property
    def amount(self) -> int:
        """What the account has, what is held included."""
        return self.earned - self.burnt - self.sent + self.received + self.awarded

    @property
    def available(self) -> int:
        """What could be spent now; no hold, transfer or award takes it below zero."""
        return self.amount - self.held

    @property
    def spent(self) -> int:
        """What was burnt and what is held: what counts against the limit of a shared key."""
        return self.burnt + self.held


def hold_for(price: float, balance: Balance) -> float:
    """Return what is set aside for a request of this price: all of it, or else what there is."""
    return kudos_from(min(hundredths(price), max(0, balance.available)))


def priority_after(held: float, balance: Balance) -> float:
    """Return the priority of a request for which so much of this balance is set aside.

    It is what is left of the kudos, from 0 (nothing, as for anonymous) to :data:`MOST_PRIORITY`.
    """
    return min(MOST_PRIORITY, kudos_from(max(0, balance.available - hundredths(held))))
