"""The port to the queue: where a worker may look for its next job, and how it claims a request."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from domain.workers.matching import Candidate

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""Before anything was asked for."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Where a worker may look for its next job."""

    lane: int
    account_id: UUID | None = None
    """The account whose requests alone are meant; None: those of all."""
    models: tuple[str, ...] = ()
    """The models of which the worker needs one; empty means any."""
    requester_id: UUID | None = None
    """The account of the first request there."""
    priority: float = 0.0
    """That of the first request there."""
    waiting_since: datetime = LONG_AGO
    """When the first request there was submitted."""


class WaitingQueue(Protocol):
    """The exact queue: it changes in the same transaction as the events."""

    def lanes_for(
        self,
        worker: Candidate,
        *,
        preferred: Collection[UUID] = (),
        only_preferred: bool = False,
        excluding: Collection[UUID] = (),
    ) -> Sequence[Offer]:
        """Return where something waits that this worker may have, the best first.

        Costs the same however many requests wait.

        :param preferred: accounts whose requests come before all others; of these alone it does not
            matter whether their kudos were there.
        :param only_preferred: whether the requests of all others are left out.
        :param excluding: requests that are left out, a few hundred at most.
        """

    def claim(
        self, offer: Offer, *, wait: bool = False, excluding: Collection[UUID] = ()
    ) -> UUID | None:
        """Claim the first request there that no other transaction holds, until this one ends.

        :param wait: whether to wait for the first request that another holds, rather than to
            pass over it; None then means that nothing of it was left.
        :param excluding: requests that are left out, a few hundred at most.
        """

    def waiting_among(self, request_ids: Collection[UUID]) -> int:
        """Return how many of these requests, a few hundred at most, wait for a worker."""
