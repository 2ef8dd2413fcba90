"""Following the log: each event is taken exactly once, crash or not.

A follower reads the log in portions, up to 500 events each, and takes a portion in one transaction
together with the move of its position, and only if the position is still where it was when the
portion was read. So any number of processes may follow under one name: one of them takes a portion,
the others come back.

What a follower does with a portion is its strategy: change a view or several
(:mod:`projections.following.views`), or react with commands. When to look, what to do after a
failure and how the event in the way is found is the same for all, and stands here.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from domain.backoff import Backoff
from domain.tracing import where
from projections.following.wakeups import WakeupSignal
from projections.view import Log, RecordedEvent

_log = structlog.get_logger(__name__)

PORTION = 500
"""The most events that are taken in one transaction."""

_SLOWEST = 4
"""With nothing to do, a follower looks this many times less often, so a few times a second."""

_REST = 8
"""After a look that found something, a follower rests this many times as long as that took, within
limits: what comes meanwhile makes one portion, and that hardly costs more."""

_LONGEST_PAUSE_SECONDS = 30.0
"""The longest backoff of a follower that fails again and again."""


class FollowerFailed(RuntimeError):
    """A follower could not take an event; it stays before it until that is repaired."""

    def __init__(self, name: str, position: int) -> None:
        """Name the follower, and the position of the event that it could not take."""
        super().__init__(f"{name!r} could not take the event at position {position}")
        self.name = name
        self.position = position


class Strategy(Protocol):
    """What followers of one log do with it, and where they keep their positions."""

    @property
    def names(self) -> Sequence[str]:
        """Who follows, at least one; no name twice."""

    def positions(self, names: Sequence[str]) -> Mapping[str, int]:
        """Return the position of the last event that each of these has taken, 0 for none."""

    def apply(
        self, names: Sequence[str], start: int, records: Sequence[RecordedEvent]
    ) -> Collection[str]:
        """Let those of these that are at ``start`` take all these events; return which did.

        Nobody takes an event without the move of their position past it, in one transaction. After
        an exception everybody is where :meth:`positions` says.
        """


@dataclass(slots=True)
class Look:
    """What came of one look at the log."""

    taken: dict[str, Sequence[RecordedEvent]] = field(default_factory=dict)
    """What each follower took, where that was anything."""
    failures: dict[str, Exception] = field(default_factory=dict)
    """Why each of the others failed; :class:`FollowerFailed` where one event is in the way."""


class LogFollower:
    """Followers of one log under one strategy.

    Most of what a small portion costs is the same for one of them as for all: to look where they
    are, to read the events, to begin and to commit. So those that are at the same position take a
    portion together; one that fails is left behind, and joins the others again when it is mended.
    """

    def __init__(
        self,
        log: Log,
        strategy: Strategy,
        on_taken: Callable[[Sequence[RecordedEvent]], None] | None = None,
    ) -> None:
        """Follow ``log``.

        :param on_taken: called with what the first of the strategy's names took, after the commit.
        """
        self._log = log
        self._strategy = strategy
        self._on_taken = on_taken
        self._known: dict[str, int] = {}
        """Where each was last; a missing name has to be looked up."""

    def look(self, names: Sequence[str], limit: int = PORTION) -> Look:
        """Let each of these take the next events, at most ``limit``; never raises.

        Nobody goes past the first of them: so those that were behind end where the others are.
        """
        look = Look()
        try:
            standing = self._standing(names)
            end: int | None = None
            for start in sorted(standing, reverse=True):
                records = self._log.after(start, limit)
                if end is None:
                    end = records[-1].position if records else start
                elif records and records[-1].position > end:
                    records = [record for record in records if record.position <= end]
                self._take(standing[start], start, records, look)
        except Exception as error:
            for name in set(names) - set(look.taken):
                self._known.pop(name, None)
                look.failures.setdefault(name, error)
        return look

    def catch_up(self, limit: int = PORTION) -> int:
        """Let all take the next events, at most ``limit``; return how many, 0 for nothing new.

        :raises FollowerFailed: when one cannot take an event; all before it are taken.
        """
        look = self.look(self._strategy.names, limit)
        for failure in look.failures.values():
            raise failure
        return max((len(records) for records in look.taken.values()), default=0)

    def follow(
        self,
        stop: threading.Event,
        *,
        interval: float,
        least_rest: float | None = None,
        wakeup: WakeupSignal | None = None,
    ) -> None:
        """Keep up with the log until ``stop`` is set; no failure ends this.

        A follower that fails is logged and tried again after a backoff, while the others go on.

        :param interval: seconds until the next look, a few times that when there was nothing for
            long. Only after a full portion there is no pause.
        :param least_rest: the least seconds between a look that found something and the next one,
            ``interval`` if not given. They are more when the look took long: events that come
            meanwhile make one portion, which costs far less than one each.
        :param wakeup: ends a pause early, but no rest; the thread that sets ``stop`` may set
            it, too, to end the wait for the next look.
        """
        names = self._strategy.names
        backoffs = {name: Backoff(interval, _LONGEST_PAUSE_SECONDS) for name in names}
        not_before = dict.fromkeys(names, 0.0)
        least_rest = interval if least_rest is None else least_rest
        wait = interval
        while not stop.is_set():
            if wakeup is not None:
                wakeup.clear()
            began = time.monotonic()
            ready = [name for name in names if not_before[name] <= began]
            if not ready:
                stop.wait(min(not_before.values()) - began)
                continue
            look = self.look(ready)
            now = time.monotonic()
            for name in ready:
                if name in look.failures:
                    pause = backoffs[name].next_pause()
                    not_before[name] = now + pause
                    _log_failure(name, look.failures[name], pause)
                else:
                    backoffs[name].reset()
            if self._on_taken is not None and (first := look.taken.get(names[0])):
                self._on_taken(first)
            if any(len(records) >= PORTION for records in look.taken.values()):
                continue
            if look.taken:
                rest = min(max(least_rest, (now - began) * _REST), interval * _SLOWEST)
                stop.wait(rest)
                wait = interval
                if rest < interval:
                    (wakeup or stop).wait(interval - rest)
            elif (wakeup or stop).wait(wait):
                wait = interval
            else:
                wait = min(wait * 1.5, interval * _SLOWEST)

    def _standing(self, names: Sequence[str]) -> Mapping[int, list[str]]:
        """Return who is where; all that are not known are looked up at once."""
        unknown = [name for name in names if name not in self._known]
        if unknown:
            self._known |= self._strategy.positions(unknown)
        standing: defaultdict[int, list[str]] = defaultdict(list)
        for name in names:
            standing[self._known[name]].append(name)
        return standing

    def _take(
        self, names: Sequence[str], start: int, records: Sequence[RecordedEvent], look: Look
    ) -> None:
        if not records:
            # An operator may have moved one: where nothing is new, there is time to look.
            for name in names:
                del self._known[name]
            return
        if len(names) > 1:
            try:
                moved = self._strategy.apply(names, start, records)
            except Exception as error:
                _log.debug("followers do not move together", error=type(error).__name__)
            else:
                for name in names:
                    self._note(name, records if name in moved else (), look)
                return
        for name in names:
            self._take_alone(name, start, records, look)

    def _take_alone(
        self, name: str, start: int, records: Sequence[RecordedEvent], look: Look
    ) -> None:
        try:
            moved = self._strategy.apply([name], start, records)
        except Exception as error:
            if len(records) == 1:
                self._fail(name, records[0], error, look)
            else:
                self._take_one_by_one(name, records, look)
        else:
            self._note(name, records if name in moved else (), look)

    def _take_one_by_one(self, name: str, records: Sequence[RecordedEvent], look: Look) -> None:
        """Take as many as can be taken: one of them is in the way, and gets named."""
        start = self._strategy.positions([name])[name]
        left = [record for record in records if record.position > start]
        for number, record in enumerate(left):
            try:
                moved = self._strategy.apply([name], start, (record,))
            except Exception as error:
                self._note(name, left[:number], look)
                self._fail(name, record, error, look)
                return
            if name not in moved:
                self._note(name, left[:number], look)
                self._known.pop(name, None)
                return
            start = record.position
        self._note(name, left, look)

    def _note(self, name: str, records: Sequence[RecordedEvent], look: Look) -> None:
        """Note what was taken; nothing means that another follower was quicker."""
        if records:
            self._known[name] = records[-1].position
            look.taken[name] = records
        else:
            self._known.pop(name, None)

    def _fail(self, name: str, record: RecordedEvent, error: Exception, look: Look) -> None:
        self._known.pop(name, None)
        failure = FollowerFailed(name, record.position)
        failure.__cause__ = error
        look.failures[name] = failure


def _log_failure(name: str, error: Exception, pause: float) -> None:
    # Not what the error says: that could hold a prompt.
    cause = error.__cause__ or error
    _log.error(
        "follower failed",
        follower=name,
        position=error.position if isinstance(error, FollowerFailed) else None,
        error=type(cause).__name__,
        where=where(cause),
        again_in_seconds=round(pause, 2),
    )
