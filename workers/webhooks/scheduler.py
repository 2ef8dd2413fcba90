"""Scheduling: what happened is to be told, so a delivery is scheduled for each address.

A reaction: it follows the final log as a view does, and what it writes are events. How far it came
is kept in the ledger's own database and moves in the transaction of those events, so after a crash
both are there or neither. Where nothing is to be told the place is kept in memory for a while: to
read some events once more costs less than a transaction for each look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import structlog

from domain.ledger.webhooks import PlannedDelivery
from projections.following.follow import Wake
from projections.following.positions import REACTION_POSITIONS
from projections.view import Log, RecordedEvent, ViewDatabase
from workers.broker.tracing import where
from workers.webhooks.planner import DeliveryPlanner, Endpoints

_log = structlog.get_logger(__name__)

NAME = "webhooks"
"""Under which its position is kept."""

_PORTION = 500
_MOST_AT_ONCE = 100
"""After so many deliveries a transaction ends: others want to write, too."""
_MOST_UNKEPT = 5_000
"""Events that may have to be read once more after a restart."""
_SLOWEST = 4
"""With nothing to do, it looks this many times less often."""
_REST = 8
"""After a look that found something it rests this many times as long as that took: what comes
meanwhile is one portion."""
_LEAST_REST_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 30.0


class SchedulingFailed(RuntimeError):
    """What an event has to tell could not be scheduled; nothing after it is, until it is mended."""

    def __init__(self, position: int) -> None:
        """Name the position of the event."""
        super().__init__(f"deliveries of the event at position {position} could not be scheduled")
        self.position = position


class Scheduler(Protocol):
    """The ledger as it is seen from here."""

    def schedule(self, planned_deliveries: Sequence[PlannedDelivery]) -> int:
        """Have things told, each once, in the transaction that is open; return how many are new."""


class WebhookScheduling:
    """Follows the log and schedules deliveries. Any number of processes may do so at once."""

    def __init__(
        self, log: Log, database: ViewDatabase, ledger: Scheduler, endpoints: Endpoints
    ) -> None:
        """Schedule in the ledger whose events ``log`` reads and which lie in ``database``."""
        self._log = log
        self._database = database
        self._ledger = ledger
        self._tellings = DeliveryPlanner(log, endpoints)
        self._kept: int | None = None
        """The position that is stored, as far as this process knows."""
        self._seen = 0
        self._unkept = 0
        self._scheduled = 0

    def catch_up(self) -> tuple[int, int]:
        """React to the next events; return how many there were, and how many deliveries are new.

        Somebody else may have been quicker: then the next call goes on from where they came to.

        :raises SchedulingFailed: when the first of them stands in the way; all before it are done.
        """
        if self._kept is None:
            with self._database.reading() as connection:
                self._kept = self._seen = REACTION_POSITIONS.read(connection, NAME)
            self._unkept = 0
        records = self._log.after(self._seen, _PORTION)
        self._scheduled = 0
        if records:
            try:
                self._react(records)
            except Exception:
                self._react_one_by_one([each for each in records if each.position > self._seen])
        return len(records), self._scheduled

    def _react_one_by_one(self, records: Sequence[RecordedEvent]) -> None:
        """React to as many as can be: one of them is to blame, and gets named in its turn."""
        for place, record in enumerate(records):
            if self._kept is None:
                return
            try:
                self._react((record,))
            except Exception as error:
                if place or self._scheduled:
                    return
                raise SchedulingFailed(record.position) from error

    def _react(self, records: Sequence[RecordedEvent]) -> None:
        for last, planned_deliveries in _pieces(self._tellings.of(records), records[-1].position):
            if not planned_deliveries:
                self._unkept += len(records)
            if planned_deliveries or self._unkept >= _MOST_UNKEPT:
                if not self._schedule(planned_deliveries, last):
                    # Somebody else was quicker.
                    self._kept = None
                    return
                self._kept, self._unkept = last, 0
            self._seen = last

    def _schedule(self, planned_deliveries: Sequence[PlannedDelivery], last: int) -> bool:
        """Schedule together with the move to ``last``; return whether nobody else did meanwhile."""
        assert self._kept is not None
        new = 0
        with self._database.transaction() as connection:
            if not REACTION_POSITIONS.move(connection, NAME, old=self._kept, new=last):
                return False
            if planned_deliveries:
                new = self._ledger.schedule(planned_deliveries)
        self._scheduled += new
        return True


def _pieces(
    told: Sequence[tuple[int, PlannedDelivery]], end: int
) -> Iterator[tuple[int, list[PlannedDelivery]]]:
    """Divide what is to be told between events; yield each part with the position it leads to.

    :param end: the position that the last part leads to.
    """
    piece: list[PlannedDelivery] = []
    last = 0
    for position, planned_delivery in told:
        if len(piece) >= _MOST_AT_ONCE and position != last:
            yield last, piece
            piece = []
        piece.append(planned_delivery)
        last = position
    yield end, piece


def schedule_until(
    stop: threading.Event,
    scheduling: WebhookScheduling,
    ring: Callable[[], None],
    *,
    interval: float,
    wake: Wake,
) -> None:
    """Schedule until ``stop`` is set; no failure ends this.

    :param ring: called when something has come to be due.
    :param interval: least seconds until it looks by itself, a few times that when there was
        nothing for long.
    :param wake: makes it look at once, but for the rest after a look that found something; whoever
        sets ``stop`` may call it, too, to end the wait for the next look.
    """
    pause, wait = 0.0, interval
    while not stop.is_set():
        wake.clear()
        began = time.monotonic()
        try:
            events, scheduled = scheduling.catch_up()
        except Exception as error:
            pause = min(max(2 * pause, interval), _LONGEST_PAUSE_SECONDS)
            _log_failure(error, pause)
            stop.wait(pause)
            continue
        pause = 0.0
        if scheduled:
            ring()
        if events >= _PORTION:
            continue
        if events:
            took = time.monotonic() - began
            stop.wait(min(max(_REST * took, _LEAST_REST_SECONDS), _SLOWEST * interval))
            wait = interval
        wait = interval if wake.wait(wait) else min(1.5 * wait, _SLOWEST * interval)


def _log_failure(error: Exception, pause: float) -> None:
    position = error.position if isinstance(error, SchedulingFailed) else None
    cause = error.__cause__ or error
    _log.error(
        "deliveries not scheduled",
        position=position,
        error=type(cause).__name__,
        where=where(cause),
        again_in_seconds=round(pause, 2),
    )
