"""The dispatcher: claims deliveries that are due and sends each in a thread of its own.

It is woken by a bell, and works without one: what is due stands in the ledger's database.
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
from workers.webhooks.sender import NotTried

_log = structlog.get_logger(__name__)

PLACES = 256
"""Deliveries that one process sends at a time."""

CLAIM_MARGIN = timedelta(seconds=5)
"""How much longer than a try a claim holds: for looking up what is told and recording what came."""

_LOOK_EVERY_SECONDS = 1.0


class Claimed(Protocol):
    """A delivery that is ours to send for a while."""

    @property
    def delivery_id(self) -> UUID:
        """Which one."""


class Claims(Protocol):
    """The port to what is due, of which nobody else takes what one sender has."""

    def claim(self, *, places: int, lifetime: timedelta, unproven: int) -> Sequence[Claimed]:
        """Take up to ``places`` deliveries.

        :param lifetime: how long they are ours; a sender that is killed gives nothing back.
        :param unproven: how many of those on their way may go to addresses that did not answer
            yet, or no more.
        """

    def release(self, delivery_id: UUID) -> None:
        """Give one back, sent or not."""


class Due(Protocol):
    """The view of deliveries as a dispatcher sees it."""

    def next_look(self, after: datetime) -> datetime | None:
        """Return the earliest moment after this one at which something may be sent."""


class Dispatcher:
    """One for each process that sends."""

    def __init__(
        self,
        claims: Claims,
        due: Due,
        send: Callable[[UUID], None],
        clock: Clock,
        *,
        claim_lifetime: timedelta,
        places: int = PLACES,
        look_every_seconds: float = _LOOK_EVERY_SECONDS,
    ) -> None:
        """Nothing is claimed before :meth:`start`.

        :param send: tries one delivery; raises :class:`NotTried` where there is no room, and
            whatever it likes when something goes wrong.
        :param claim_lifetime: longer than a try takes.
        :param places: deliveries that are sent at a time, at least 2.
        :param look_every_seconds: how long it waits for a bell at most.
        """
        self._claims = claims
        self._due = due
        self._send = send
        self._clock = clock
        self._claim_lifetime = claim_lifetime
        self._places = places
        self._look_every = look_every_seconds
        self._changed = threading.Condition()
        self._is_woken = False
        self._is_stopping = False
        self._on_their_way = 0
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
        """Claim nothing more, and let what is on its way end; return whether all of it did.

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
            return self._changed.wait_for(lambda: not self._on_their_way, left)

    def _dispatch(self) -> None:
        pause = 0.0
        while not self._is_stopped_within(pause):
            try:
                self._take_what_is_due()
                pause = self._seconds_to_next_look()
            except Exception as error:
                _log.error("deliveries not claimed", error=type(error).__name__, where=where(error))
                pause = self._look_every

    def _is_stopped_within(self, seconds: float) -> bool:
        """Wait so long, or until woken."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_woken or self._is_stopping, seconds)
            # Before looking: what wakes from here on may be about something that the look misses.
            self._is_woken = False
            return self._is_stopping

    def _take_what_is_due(self) -> None:
        with self._changed:
            free = self._places - self._on_their_way
        if not free:
            return
        claimed = self._claims.claim(
            places=free, lifetime=self._claim_lifetime, unproven=self._places // 2
        )
        for each in claimed:
            with self._changed:
                self._on_their_way += 1
            sending = threading.Thread(
                target=self._try, args=(each.delivery_id,), name="delivery", daemon=True
            )
            try:
                sending.start()
            except BaseException:
                self._leave_place()
                raise

    def _seconds_to_next_look(self) -> float:
        now = self._clock.now()
        at = self._due.next_look(now)
        if at is None:
            return self._look_every
        return min(self._look_every, max(0.0, (at - now).total_seconds()))

    def _try(self, delivery_id: UUID) -> None:
        was_tried = True
        try:
            try:
                self._send(delivery_id)
            except NotTried:
                was_tried = False
            self._claims.release(delivery_id)
        except Exception as error:
            # Its claim is left to end: what fails so is not tried again at once.
            _log.error(
                "delivery not sent",
                delivery=str(delivery_id),
                error=type(error).__name__,
                where=where(error),
            )
        finally:
            self._leave_place()
        if was_tried:
            # What waited behind it may be sent now.
            self.wake()

    def _leave_place(self) -> None:
        with self._changed:
            self._on_their_way -= 1
            self._changed.notify_all()
