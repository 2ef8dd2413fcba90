"""Following the log: each view gets every event exactly once, crash or not.

A portion of events is applied in one transaction together with the move of the view's position, and
only if the position is still where it was when the portion was read. So any number of followers of
one view may run, in any number of processes: one of them applies a portion, the others come back.

Most of what a small portion costs is the same for one view as for all of them: to look where the
view is, to read the events, to begin and to commit. So views that stand at the same position move
together, in one transaction; one that fails is left behind, and joins them again when it is mended.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from projections.following.positions import VIEW_POSITIONS
from projections.view import Log, RecordedEvent, View, ViewDatabase

_PORTION = 500

_SLOWEST = 4
"""With nothing to do, a follower looks this many times less often, so a few times a second."""

_REST = 8
"""After a round, followers rest this many times as long as it took, within the limits above: a
round that comes later has more events, and hardly costs more."""

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
        self.database = database

    def position(self) -> int:
        """Return the position of the last event that the view holds, 0 for none."""
        with self.database.reading() as connection:
            return VIEW_POSITIONS.read(connection, self.view.name)

    def catch_up(self, limit: int = _PORTION) -> int:
        """Apply up to ``limit`` events and return how many; 0 when there was nothing to do.

        :raises FollowerFailed: when the view cannot take an event; all before it are applied.
        """
        start = self.position()
        return len(self.take(start, self.log.after(start, limit)))

    def take(self, start: int, records: Sequence[RecordedEvent]) -> Sequence[RecordedEvent]:
        """Apply these events and return them; none when somebody else was quicker.

        :param start: the position of the last event before them.
        :raises FollowerFailed: as :meth:`catch_up` does.
        """
        if not records:
            return ()
        try:
            return records if self._apply(start, records) else ()
        except Exception as error:
            if len(records) == 1:
                raise FollowerFailed(self.view.name, records[0].position) from error
        return self._apply_one_by_one(start, records)

    def _apply_one_by_one(
        self, start: int, records: Sequence[RecordedEvent]
    ) -> Sequence[RecordedEvent]:
        """Apply as many as the view takes: one of them is to blame, and gets named."""
        for place, record in enumerate(records):
            try:
                if not self._apply(start, (record,)):
                    return records[:place]
            except Exception as error:
                raise FollowerFailed(self.view.name, record.position) from error
            start = record.position
        return records

    def _apply(self, start: int, records: Sequence[RecordedEvent]) -> bool:
        with self.database.transaction() as connection:
            moved = VIEW_POSITIONS.move(
                connection, self.view.name, old=start, new=records[-1].position
            )
            if moved:
                self.view.apply(connection, records)
            return moved


@dataclass(slots=True, eq=False)
class _Member:
    """A follower among others, and when its next turn is."""

    follower: Follower
    interval: float
    position: int | None = None
    """Where its view was seen last; None where one has to look."""
    pause: float = 0.0
    not_before: float = 0.0

    def failed(self, error: Exception) -> None:
        """Log what went wrong, and try again after a pause, ever longer."""
        self.position = None
        self.pause = min(max(self.pause * 2, self.interval), _LONGEST_PAUSE_SECONDS)
        self.not_before = time.monotonic() + self.pause
        _logger.error(
            "View %s does not follow: %s; trying again in %.1f s",
            self.follower.view.name,
            error if isinstance(error, FollowerFailed) else type(error).__name__,
            self.pause,
            exc_info=error,
        )

    def moved(self, records: Sequence[RecordedEvent]) -> None:
        """Note what was applied; nothing means that the view is somewhere else."""
        self.position = records[-1].position if records else None
        self.pause = 0.0


class _Party:
    """Followers of one log whose views lie in one database."""

    def __init__(self, members: Sequence[_Member]) -> None:
        self._members = members
        self._log = members[0].follower.log
        self._database = members[0].follower.database

    def take_turns(self) -> dict[Follower, Sequence[RecordedEvent]]:
        """Let each follower whose turn it is apply the next events; return what each applied.

        Nobody goes past the first of them: so those that were behind end where the others are.
        """
        now = time.monotonic()
        ready = [member for member in self._members if member.not_before <= now]
        applied: dict[Follower, Sequence[RecordedEvent]] = {}
        try:
            places = self._places(ready)
            end: int | None = None
            for start in sorted(places, reverse=True):
                records = self._log.after(start, _PORTION)
                if end is None:
                    end = records[-1].position if records else start
                elif records and records[-1].position > end:
                    records = [record for record in records if record.position <= end]
                applied |= self._apply(places[start], start, records)
        except Exception as error:
            for member in ready:
                member.failed(error)
        return applied

    def _places(self, ready: Sequence[_Member]) -> dict[int, list[_Member]]:
        """Return who is where; a position that is not known is looked up, all in one statement."""
        unknown = [member.follower.view.name for member in ready if member.position is None]
        stored: dict[str, int] = {}
        if unknown:
            with self._database.reading() as connection:
                stored = VIEW_POSITIONS.read_many(connection, unknown)
        places = defaultdict(list)
        for member in ready:
            if member.position is None:
                member.position = stored.get(member.follower.view.name, 0)
            places[member.position].append(member)
        return places

    def _apply(
        self, members: Sequence[_Member], start: int, records: Sequence[RecordedEvent]
    ) -> dict[Follower, Sequence[RecordedEvent]]:
        if not records:
            # Somebody may have put a view elsewhere: where nothing is new, there is time to look.
            for member in members:
                member.moved(())
            return {}
        if len(members) > 1:
            try:
                together = self._apply_together(members, start, records)
            except Exception:
                _logger.debug("views do not move together", exc_info=True)
            else:
                for member in members:
                    member.moved(records if member.follower in together else ())
                return dict.fromkeys(together, records)
        applied: dict[Follower, Sequence[RecordedEvent]] = {}
        for member in members:
            try:
                taken = member.follower.take(start, records)
            except Exception as error:
                member.failed(error)
            else:
                member.moved(taken)
                applied[member.follower] = taken
        return applied

    def _apply_together(
        self, members: Sequence[_Member], start: int, records: Sequence[RecordedEvent]
    ) -> Sequence[Follower]:
        """Apply events to several views in one transaction; return those that were there."""
        names = [member.follower.view.name for member in members]
        with self._database.transaction() as connection:
            moved = VIEW_POSITIONS.move_many(connection, names, old=start, new=records[-1].position)
            there = [each.follower for each in members if each.follower.view.name in moved]
            for follower in there:
                follower.view.apply(connection, records)
        return there


class Wake:
    """Ends the pause of whoever follows the log; any thread may call it."""

    def __init__(self) -> None:
        """Nobody was woken yet."""
        self._woken = threading.Event()

    def changed(self) -> None:
        """There may be events."""
        self._woken.set()

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        """A step that stands in no log is none of a follower's business."""

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until woken; return whether somebody did."""
        return self._woken.wait(seconds)

    def clear(self) -> None:
        """Forget who woke it: the look that comes now sees what they meant."""
        self._woken.clear()


def follow(
    followers: Sequence[Follower],
    stop: threading.Event,
    interval: float,
    on_records: Callable[[Sequence[RecordedEvent]], None] | None = None,
    wake: Wake | None = None,
) -> None:
    """Keep views up with the log until ``stop`` is set; no failure ends this.

    A view that fails is logged and tried again while the others go on. Views that stand side by
    side read each portion once and take it in one transaction.

    :param interval: least seconds until the next look, a few times that when there was nothing for
        long or when the last look took long. Events that come meanwhile make one portion, which
        costs far less than one each; only after a full portion there is no pause.
    :param on_records: told what the first of the followers applied, after it was committed.
    :param wake: ends a pause early, but not the rest after a look that found something; whoever
        sets ``stop`` may call it, too, to end the wait for the next look.
    """
    parties = _parties(followers, interval)
    wait = interval
    while not stop.is_set():
        if wake is not None:
            wake.clear()
        started = time.monotonic()
        applied: dict[Follower, Sequence[RecordedEvent]] = {}
        for party in parties:
            applied |= party.take_turns()
        took = time.monotonic() - started
        if on_records is not None and (first := applied.get(followers[0])):
            on_records(first)
        if any(len(records) >= _PORTION for records in applied.values()):
            continue
        if any(applied.values()):
            # Whatever comes meanwhile makes one portion.
            stop.wait(min(max(interval, took * _REST), interval * _SLOWEST))
            wait = interval
        elif (wake or stop).wait(wait):
            wait = interval
        else:
            wait = min(wait * 1.5, interval * _SLOWEST)


def _parties(followers: Sequence[Follower], interval: float) -> Sequence[_Party]:
    parties: defaultdict[tuple[int, int], list[_Member]] = defaultdict(list)
    for follower in followers:
        together = id(follower.log), id(follower.database)
        parties[together].append(_Member(follower, interval))
    return [_Party(members) for members in parties.values()]
