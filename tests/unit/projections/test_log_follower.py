"""One look at the log: who takes what, and who is left behind with which event named."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from domain.requests.request import Request
from projections.following.log_follower import PORTION, FollowerFailed, LogFollower
from projections.following.wakeups import WakeupSignal
from projections.view import RecordedEvent
from tests.unit.projections.tracked_events import submitted


class Numbers:
    """A log of so many events, at the positions from 1."""

    def __init__(self, events: int) -> None:
        event: Request.Submitted = submitted(UUID(int=1))
        self.records = [RecordedEvent(position, event) for position in range(1, events + 1)]

    def after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        return self.records[position : position + limit]

    committed_after = after

    def tails(self, versions: Mapping[UUID, int]) -> Sequence[RecordedEvent]:
        return []

    def last_position(self) -> int:
        return len(self.records)


class Columns:
    """A strategy whose followers write down positions in memory, and may stumble over one."""

    def __init__(self, **stored: int) -> None:
        self.stored = stored
        self.stumbles: dict[str, int] = {}
        self.transactions: list[tuple[tuple[str, ...], int]] = []
        self.lookups: list[tuple[str, ...]] = []

    @property
    def names(self) -> Sequence[str]:
        return tuple(self.stored)

    def positions(self, names: Sequence[str]) -> Mapping[str, int]:
        self.lookups.append(tuple(names))
        return {name: self.stored[name] for name in names}

    def apply(
        self, names: Sequence[str], start: int, records: Sequence[RecordedEvent]
    ) -> Collection[str]:
        there = [name for name in names if self.stored[name] == start]
        for record in records:
            if any(self.stumbles.get(name) == record.position for name in there):
                raise ZeroDivisionError
        self.transactions.append((tuple(there), len(records)))
        self.stored |= dict.fromkeys(there, records[-1].position)
        return there


def test_those_at_the_same_position_move_in_one_transaction_and_are_looked_up_once() -> None:
    columns = Columns(a=0, b=0, c=0)
    follower = LogFollower(Numbers(10), columns)
    for _ in range(2):
        follower.look(columns.names, 5)
    assert columns.transactions == [(("a", "b", "c"), 5)] * 2
    assert columns.lookups == [("a", "b", "c")]


def test_nobody_goes_past_the_first() -> None:
    columns = Columns(ahead=4, behind=0)
    LogFollower(Numbers(10), columns).look(columns.names, 3)
    assert columns.stored == {"ahead": 7, "behind": 3}
    look = LogFollower(Numbers(7), columns).look(columns.names)
    assert columns.stored == {"ahead": 7, "behind": 7}
    assert {name: len(records) for name, records in look.taken.items()} == {"behind": 4}


def test_one_that_fails_is_left_at_the_event_in_the_way_and_the_others_go_on() -> None:
    columns = Columns(a=0, stuck=0)
    columns.stumbles = {"stuck": 4}
    follower = LogFollower(Numbers(6), columns)
    look = follower.look(columns.names)
    failure = look.failures["stuck"]
    assert isinstance(failure, FollowerFailed)
    assert (failure.name, failure.position) == ("stuck", 4)
    assert isinstance(failure.__cause__, ZeroDivisionError)
    assert {name: len(records) for name, records in look.taken.items()} == {"a": 6, "stuck": 3}
    assert columns.stored == {"a": 6, "stuck": 3}

    columns.stumbles = {}
    assert follower.catch_up() == 3
    assert columns.stored == {"a": 6, "stuck": 6}


def test_who_finds_another_ahead_takes_nothing_and_looks_up_where_it_is() -> None:
    columns = Columns(a=0)
    follower = LogFollower(Numbers(9), columns)
    follower.catch_up(3)
    columns.stored["a"] = 5
    assert follower.catch_up() == 0
    assert follower.catch_up() == 4


def test_a_log_that_cannot_be_read_is_a_failure_of_all() -> None:
    columns = Columns(a=0, b=0)
    numbers = Numbers(1)
    follower = LogFollower(numbers, columns)

    def away(position: int, limit: int) -> Sequence[RecordedEvent]:
        raise ConnectionError

    numbers.after = away  # type: ignore[method-assign]
    look = follower.look(columns.names)
    assert set(look.failures) == {"a", "b"}
    with pytest.raises(ConnectionError):
        follower.catch_up()


class Waits(threading.Event):
    """A stop flag that is set after so many waits, which take no time and are written down."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._most = most

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.seconds.append(timeout)
        if len(self.seconds) == self._most:
            self.set()
        return False


def test_with_nothing_to_do_it_looks_less_and_less_often() -> None:
    stop = Waits(6)
    LogFollower(Numbers(0), Columns(a=0)).follow(stop, interval=1)
    assert stop.seconds == [1, 1.5, 2.25, 3.375, 4, 4]


def test_after_a_full_portion_there_is_no_pause_and_after_another_one_a_rest() -> None:
    stop, columns = Waits(2), Columns(a=0)
    taken: list[int] = []
    follower = LogFollower(
        Numbers(2 * PORTION + 1), columns, lambda records: taken.append(len(records))
    )
    follower.follow(stop, interval=3600)
    assert taken == [PORTION, PORTION, 1]
    # The rest, and the first wait of a look that found nothing.
    assert stop.seconds == [3600, 3600]


def test_a_wake_up_ends_what_is_left_of_the_interval_but_not_the_rest() -> None:
    class Called(WakeupSignal):
        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def wait(self, seconds: float) -> bool:
            self.seconds.append(seconds)
            stop.set()
            return True

    stop, wakeup = Waits(9), Called()
    LogFollower(Numbers(1), Columns(a=0)).follow(stop, interval=3600, least_rest=900, wakeup=wakeup)
    assert (stop.seconds, wakeup.seconds) == ([900], [2700])


def test_where_all_failed_nothing_is_looked_for_until_a_backoff_is_over() -> None:
    stop, columns = Waits(3), Columns(a=0)
    columns.stumbles = {"a": 1}
    with capture_logs() as entries:
        LogFollower(Numbers(1), columns).follow(stop, interval=20)
    assert len(columns.lookups) == 1
    assert [seconds <= 20 for seconds in stop.seconds] == [True] * 3
    [failed] = entries
    assert (failed["follower"], failed["position"], failed["error"]) == (
        "a",
        1,
        "ZeroDivisionError",
    )
    assert failed["again_in_seconds"] == 20
