"""An address that keeps failing rests, is tried by one delivery, and is dead after days of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.webhooks.attempts import Outcome, Problem
from domain.webhooks.circuit import Health, room_for

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SILENCE = Outcome(problem=Problem.TIMED_OUT)
INSTANT = timedelta(microseconds=1)


def after_failures(count: int, *, over: timedelta = timedelta(0)) -> Health:
    """Failures at even distances: the first now, the last ``over`` later."""
    health = Health()
    for number in range(count):
        health = health.after(SILENCE, NOW + over * number / max(1, count - 1))
    return health


@pytest.mark.parametrize(("failures", "seconds"), [(5, 30), (6, 60), (7, 120), (12, 3600)])
def test_how_long_an_address_rests(failures: int, seconds: int) -> None:
    health = after_failures(failures)
    rested = NOW + timedelta(seconds=seconds)
    assert health.next_probe_at == rested
    assert room_for(health, 0, rested - INSTANT) == 0
    assert room_for(health, 0, rested) == 1
    assert room_for(health, 1, rested) == 0
    assert health.earliest_attempt(NOW) == rested
    assert health.earliest_attempt(rested + INSTANT) == rested + INSTANT


def test_a_test_does_not_wait_for_the_end_of_a_rest() -> None:
    health = after_failures(9)
    assert health.earliest_attempt(NOW, is_test=True) == NOW
    assert room_for(health, 0, NOW, is_test=True) == 1
    assert room_for(health, 1, NOW, is_test=True) == 0


def test_few_failures_are_no_reason_to_rest() -> None:
    health = after_failures(4)
    assert health.next_probe_at is None
    assert room_for(health, 1, NOW) == 1


def test_an_address_has_to_prove_itself_for_more_than_two_at_once() -> None:
    new = Health()
    answered = new.after(Outcome(204), NOW)
    failed = answered.after(Outcome(500), NOW)
    assert [health.proven for health in (new, answered, failed)] == [False, True, False]
    assert [room_for(health, 0, NOW) for health in (new, answered, failed)] == [2, 4, 2]


def test_one_that_arrives_ends_the_rest() -> None:
    health = after_failures(30, over=timedelta(days=6)).after(Outcome(200), NOW)
    assert health == Health(proven=True)
    assert room_for(health, 0, NOW) == 4


@pytest.mark.parametrize(
    ("failures", "over", "dead"),
    [
        (10, timedelta(days=5), True),
        (10, timedelta(days=5) - timedelta(seconds=1), False),
        (9, timedelta(days=50), False),
        (500, timedelta(hours=1), False),
    ],
)
def test_what_is_dead(failures: int, over: timedelta, dead: bool) -> None:
    assert after_failures(failures, over=over).is_dead is dead


def test_results_that_come_in_out_of_order_shorten_no_rest() -> None:
    health = after_failures(5).after(SILENCE, NOW - timedelta(seconds=10))
    assert health.last_failed_at == NOW
