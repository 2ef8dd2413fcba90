"""Following the log: each view gets every event exactly once, crash or not.

A portion of events is applied in one transaction together with the move of the view's position, and
only if the position is still where it was when the portion was read. So any number of followers of
one view may run, in any number of processes: one of them applies a portion, the others come back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from projections.positions import move_position, read_position
from projections.view import Log, Recorded, View, ViewDatabase

_PORTION = 500

_SLOWEST = 4
"""With nothing to do, a follower looks this many times less often, so a few times a second."""

_LONGEST_PAUSE_SECONDS = 30.0
"""How long a follower that fails again and again is left alone."""

_logger = logging.getLogger(__name__)


class FollowerFailed(RuntimeError):
    """A view could not take an event; the view stays where it is until that is mended."""

    def __init__(self, view: str, position: int) -> None:
        """Name the view and the position of the event that it could not take."""
        super().__init__(f"view {view!r} could not take the event at position {position}")
        self.view = view
        self.position = position


class Follower:
    """Keeps one view up with the log."""

    def __init__(self, view: View, log: Log, database: ViewDatabase) -> None:
        """Follow ``log`` with a view whose tables lie in ``database``."""
        self.view = view
        self.log = log
        self._database = database

    def position(self) -> int:
        """Return the position of the last event that the view holds, 0 for none."""
        with self._database.reading() as connection:
            return read_position(connection, self.view.name)

    def catch_up(self, limit: int = _PORTION) -> int:
        """Apply up to ``limit`` events and return how many; 0 when there was nothing to do.

        :raises FollowerFailed: when the view cannot take an event; all before it are applied.
        """
        return len(self.advance(limit))

    def advance(self, limit: int = _PORTION, log: Log | None = None) -> Sequence[Recorded]:
        """Apply up to ``limit`` events and return them; none when somebody else was quicker.

        :param log: where to read them, this follower's own log if not given.
        :raises FollowerFailed: as :meth:`catch_up` does.
        """
        start = self.position()
        records = (log or self.log).after(start, limit)
        if not records:
            return ()
        try:
            return records if self._apply(start, records) else ()
        except Exception as error:
            if len(records) == 1:
                raise FollowerFailed(self.view.name, records[0].position) from error
        return self._apply_one_by_one(start, records)

    def _apply_one_by_one(self, start: int, records: Sequence[Recorded]) -> Sequence[Recorded]:
        """Apply as many as the view takes: one of them is to blame, and gets named."""
        for place, record in enumerate(records):
            try:
                if not self._apply(start, (record,)):
                    return records[:place]
            except Exception as error:
                raise FollowerFailed(self.view.name, record.position) from error
            start = record.position
        return records

    def _apply(self, start: int, records: Sequence[Recorded]) -> bool:
        with self._database.transaction() as connection:
            moved = move_position(connection, self.view.name, old=start, new=records[-1].position)
            if moved:
                self.view.apply(connection, records)
            return moved


class SharedPortions:
    """A log from which followers that stand side by side read each portion only once."""

    def __init__(self, log: Log) -> None:
        """Read from ``log``."""
        self._log = log
        self._portions: dict[tuple[int, int], Sequence[Recorded]] = {}

    def forget(self) -> None:
        """Start a new round: what was read may be out of date."""
        self._portions.clear()

    def after(self, position: int, limit: int) -> Sequence[Recorded]:
        """Return the events after a position as they were when first asked for in this round."""
        portion = self._portions.get((position, limit))
        if portion is None:
            portion = self._portions[position, limit] = self._log.after(position, limit)
        return portion

    def committed_after(self, position: int, limit: int) -> Sequence[Recorded]:
        """Return the log's own answer."""
        return self._log.committed_after(position, limit)

    def tails(self, versions: Mapping[UUID, int]) -> Sequence[Recorded]:
        """Return the log's own answer."""
        return self._log.tails(versions)

    def last_position(self) -> int:
        """Return the log's own answer."""
        return self._log.last_position()


class _Turn:
    """When a follower's next turn is: at once, or after a pause if it keeps failing."""

    def __init__(self, follower: Follower, log: Log, interval: float) -> None:
        self.follower = follower
        self._log = log
        self._interval = interval
        self._pause = 0.0
        self._not_before = 0.0

    def take(self) -> Sequence[Recorded]:
        """Apply the next portion; what goes wrong is logged and tried again, ever less often."""
        if time.monotonic() < self._not_before:
            return ()
        try:
            records = self.follower.advance(log=self._log)
        except Exception as error:
            self._pause = min(max(self._pause * 2, self._interval), _LONGEST_PAUSE_SECONDS)
            self._not_before = time.monotonic() + self._pause
            _logger.exception(
                "View %s does not follow: %s; trying again in %.1f s",
                self.follower.view.name,
                error if isinstance(error, FollowerFailed) else type(error).__name__,
                self._pause,
            )
            return ()
        self._pause = 0.0
        return records


def follow(
    followers: Sequence[Follower],
    stop: threading.Event,
    interval: float,
    on_records: Callable[[Sequence[Recorded]], None] | None = None,
) -> None:
    """Keep views up with the log until ``stop`` is set; no failure ends this.

    A view that fails is logged and tried again while the others go on. Followers of one log that
    stand side by side read each portion once.

    :param interval: seconds until the next look, a few times that when there was nothing for
        long. Events that come meanwhile make one portion, which costs far less than one each; only
        after a full portion there is no pause.
    :param on_records: told what the first of the followers applied, after it was committed.
    """
    portions = {id(follower.log): SharedPortions(follower.log) for follower in followers}
    turns = [_Turn(follower, portions[id(follower.log)], interval) for follower in followers]
    wait = interval
    while not stop.is_set():
        for portion in portions.values():
            portion.forget()
        applied = [turn.take() for turn in turns]
        if on_records is not None and applied and applied[0]:
            on_records(applied[0])
        if any(len(records) >= _PORTION for records in applied):
            continue
        wait = interval if any(applied) else min(wait * 1.5, interval * _SLOWEST)
        stop.wait(wait)
