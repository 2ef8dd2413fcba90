"""Scheduling: for each notification and each webhook that wants it, a delivery is scheduled.

A reaction: it follows the final log as a view does, and what it writes are events. Its position is
kept in the ledger's own database and moves in the transaction of those events, so after a crash
both are there or neither. Where there is nothing to schedule the position is kept in memory for a
while: to read some events once more costs less than a transaction for each look.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol

from domain.ledger.webhooks import PlannedDelivery
from projections.following.positions import REACTION_POSITIONS
from projections.view import Log, RecordedEvent, ViewDatabase
from workers.webhooks.planner import DeliveryPlanner, Endpoints

NAME = "webhooks"
"""Under which its position is kept."""

LEAST_REST_SECONDS = 0.02
"""Between a look that found something and the next one."""

_MOST_AT_ONCE = 100
"""After so many deliveries a transaction ends: others want to write, too."""
_MOST_UNSTORED = 5_000
"""Events that may have to be read once more after a restart."""


class Scheduler(Protocol):
    """The ledger as it is seen from here."""

    def schedule(self, planned_deliveries: Sequence[PlannedDelivery]) -> int:
        """Schedule each once, in the transaction that is open; return how many are new."""


class WebhookScheduling:
    """The strategy of the follower that schedules deliveries; any number of processes may."""

    names: Sequence[str] = (NAME,)

    def __init__(
        self,
        log: Log,
        database: ViewDatabase,
        ledger: Scheduler,
        endpoints: Endpoints,
        on_scheduled: Callable[[int], None] = lambda new: None,
    ) -> None:
        """Schedule in the ledger whose events ``log`` reads and which lie in ``database``.

        :param on_scheduled: called with the number of new deliveries, after they were committed.
        """
        self._database = database
        self._ledger = ledger
        self._planner = DeliveryPlanner(log, endpoints)
        self._on_scheduled = on_scheduled
        self._stored: int | None = None
        """The position that is stored, as far as this process knows."""
        self._seen = 0
        self._unstored = 0

    def positions(self, names: Sequence[str]) -> Mapping[str, int]:
        """Return the position of the last event that was seen here, or that is stored."""
        if self._stored is None:
            with self._database.reading() as connection:
                self._stored = self._seen = REACTION_POSITIONS.read(connection, NAME)
            self._unstored = 0
        return dict.fromkeys(names, self._seen)

    def apply(
        self, names: Sequence[str], start: int, records: Sequence[RecordedEvent]
    ) -> Collection[str]:
        """Schedule what follows from these events; no name if another process was quicker."""
        scheduled = 0
        try:
            planned = self._planner.of(records)
            for last, deliveries in _pieces(planned, records[-1].position):
                if not deliveries:
                    self._unstored += len(records)
                if deliveries or self._unstored >= _MOST_UNSTORED:
                    new = self._schedule(deliveries, last)
                    if new is None:
                        self._stored = None
                        return ()
                    scheduled += new
                    self._stored, self._unstored = last, 0
                self._seen = last
        finally:
            if scheduled:
                self._on_scheduled(scheduled)
        return names

    def _schedule(self, deliveries: Sequence[PlannedDelivery], last: int) -> int | None:
        """Schedule together with the move to ``last``; None when another process has moved it."""
        assert self._stored is not None
        with self._database.transaction() as connection:
            if not REACTION_POSITIONS.move(connection, NAME, old=self._stored, new=last):
                return None
            return self._ledger.schedule(deliveries) if deliveries else 0


def _pieces(
    planned: Sequence[tuple[int, PlannedDelivery]], end: int
) -> Iterator[tuple[int, list[PlannedDelivery]]]:
    """Divide deliveries between events; yield each part with the position it leads to.

    :param end: the position that the last part leads to.
    """
    piece: list[PlannedDelivery] = []
    last = 0
    for position, delivery in planned:
        if len(piece) >= _MOST_AT_ONCE and position != last:
            yield last, piece
            piece = []
        piece.append(delivery)
        last = position
    yield end, piece
