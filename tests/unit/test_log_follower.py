"""One look at the log: who takes what, and who is left behind with which event named."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import pytest

from domain.requests.request import Request
from projections.following.log_follower import FollowerFailed, LogFollower
from projections.view import RecordedEvent
from tests.unit.tracked_events import submitted


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
