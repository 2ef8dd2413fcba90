"""The dispatcher: claims deliveries that are due and sends each in a thread of its own.

Wake-ups make it look at once, but it works without them: what is due stands in the ledger's
database.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from domain.ports import Clock
from domain.tracing import where
from workers.webhooks.sender import NotAttempted

_log = structlog.get_logger(__name__)

SLOTS = 256
"""Deliveries that one process sends at a time."""

CLAIM_MARGIN = timedelta(seconds=5)
"""How much longer than an attempt a claim holds: for making the body and recording the outcome."""

_POLL_SECONDS = 1.0


class Claimed(Protocol):
    """A delivery that this process may send for a while."""

    @property
    def delivery_id(self) -> UUID:
        """Which one."""


class Claims(Protocol):
    """Hands out deliveries that are due, each to one sender at a time."""

    def claim(self, *, slots: int, lifetime: timedelta, unproven: int) -> Sequence[Claimed]:
        """Take up to ``slots`` deliveries.

        :param lifetime: after which others may take them; a sender that is killed releases nothing.
        :param unproven: how many of those in flight may go to destinations that did not answer
            yet, or no more.
        """

    def release(self, delivery_id: UUID) -> None:
        """Give one back, sent or not."""


class DueDeliveries(Protocol):
    """The view of due deliveries as the dispatcher sees it."""

    def next_look(self, after: datetime) -> datetime | None:
        """Return the earliest moment after this one from which a further delivery may be sent."""


class Dispatcher:
    """One for each process that sends."""

    def __init__(
        self,
        claims: Claims,
        due: DueDeliveries,
        send: Callable[[UUID], None],
        clock: Clock,
        *,
        claim_lifetime: timedelta,
        slots: int = SLOTS,
        poll_seconds: float = _POLL_SECONDS,
    ) -> None:
        """Nothing is claimed before :meth:`start`.

        :param send: makes an attempt of one delivery; raises :class:`NotAttempted` where there is
            no room, and any other error when something goes wrong.
        :param claim_lifetime: longer than an attempt takes.
        :param slots: deliveries that are sent at a time, at least 2.
        :param poll_seconds: the longest wait between two looks, in seconds.
        """
        self._claims = claims
        self._due = due
        self._send = send
        self._clock = clock
        self._claim_lifetime = claim_lifetime
        self._slots = slots
        self._poll_seconds = poll_seconds
        self._changed = threading.Condition()
        self._is_woken = False
        self._is_stopping = False
        self._in_flight = 0
        self._thread = threading.Thread(target=self._dispatch, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Send what is due from now on."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once whether something is due; returns at once."""
        with self._changed:
            self._is_woken = True
            self._changed.notify_all()

    def stop(self, seconds: float) -> bool:
        """Claim nothing more, and let what is in flight end; return whether all of it did.

        What did not is sent again under the same id when its claim is over.

        :param seconds: how long to wait for it.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._thread.join(seconds)
        with self._changed:
            left = max(0.0, deadline - time.monotonic())
            return self._changed.wait_for(lambda: not self._in_flight, left)

    def _dispatch(self) -> None:
        pause = 0.0
        while not self._is_stopped_within(pause):
            try:
                self._claim_due()
                pause = self._seconds_to_next_look()
            except Exception as error:
                _log.error("deliveries not claimed", error=type(error).__name__, where=where(error))
                pause = self._poll_seconds

    def _is_stopped_within(self, seconds: float) -> bool:
        """Wait that long, or until woken."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_woken or self._is_stopping, seconds)
            # Before looking: what wakes from here on may be about something that the look misses.
            self._is_woken = False
            return self._is_stopping

    def _claim_due(self) -> None:
        with self._changed:
            free = self._slots - self._in_flight
        if not free:
            return
        claimed = self._claims.claim(
            slots=free, lifetime=self._claim_lifetime, unproven=self._slots // 2
        )
        for each in claimed:
            with self._changed:
                self._in_flight += 1
            sending = threading.Thread(
                target=self._attempt, args=(each.delivery_id,), name="delivery", daemon=True
            )
            try:
                sending.start()
            except BaseException:
                self._free_slot()
                raise

    def _seconds_to_next_look(self) -> float:
        now = self._clock.now()
        at = self._due.next_look(now)
        if at is None:
            return self._poll_seconds
        return min(self._poll_seconds, max(0.0, (at - now).total_seconds()))

    def _attempt(self, delivery_id: UUID) -> None:
        was_attempted = True
        try:
            try:
                self._send(delivery_id)
            except NotAttempted:
                was_attempted = False
            self._claims.release(delivery_id)
        except Exception as error:
            # Its claim is left to expire, so that it is not attempted again at once.
            _log.error(
                "delivery not sent",
                delivery=str(delivery_id),
                error=type(error).__name__,
                where=where(error),
            )
        finally:
            self._free_slot()
        if was_attempted:
            # The next delivery of its line may be sent now.
            self.wake()

    def _free_slot(self) -> None:
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()
