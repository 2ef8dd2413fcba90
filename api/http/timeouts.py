"""Time-outs: network addresses that moderators have shut out for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AddressTimeout:
    """An address, or a network of addresses, that is shut out."""

    address: str
    """As ``192.0.2.7``, ``192.0.2.0/24`` or ``2001:db8::/32``; or the digest of a worker's address,
    40 hexadecimal digits, where no more is known of it."""
    ends_at: datetime


class Timeouts(Protocol):
    """The port to the time-outs. They end by themselves and are no events."""

    def shut_out(self, address: str, lifetime: timedelta) -> None:
        """Shut an address or a network out, or for another time than it was.

        :raises Refused: ``BadRequest``, when it is neither.
        """

    def let_in(self, address: str) -> None:
        """End the time-out of an address or a network; none is no error.

        :raises Refused: ``BadRequest``, when it is neither.
        """

    def active(self) -> Sequence[AddressTimeout]:
        """Return who is shut out now, the first to end first."""

    def covering(self, address: str) -> Sequence[AddressTimeout]:
        """Return those by which an address or a network is shut out now.

        :raises Refused: ``BadRequest``, when it is neither.
        """

    def require_allowed(self, address: str) -> None:
        """Let an address pass that is not shut out, as of up to a second ago.

        Costs no query but one a second for all addresses together.

        :param address: what a client's connection comes from; anything that is no network address
            passes.
        :raises Refused: ``TimeoutIP``.
        """
