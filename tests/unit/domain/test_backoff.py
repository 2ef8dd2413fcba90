"""Backoff: bounded, never shrinking, the same for the same failures, and forgotten by a success."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.backoff import Backoff

SECONDS = st.floats(0.001, 1_000)


def test_each_failure_doubles_the_pause_up_to_the_limit() -> None:
    backoff = Backoff(0.5, 3)
    assert [backoff.next_pause() for _ in range(5)] == [0.5, 1, 2, 3, 3]


def test_a_success_starts_anew() -> None:
    backoff = Backoff(1, 60)
    backoff.next_pause()
    backoff.next_pause()
    backoff.reset()
    assert backoff.next_pause() == 1


@given(SECONDS, SECONDS, st.integers(1, 2_000))
def test_no_pause_is_above_the_limit_or_below_the_one_before(
    first: float, longest: float, failures: int
) -> None:
    backoff = Backoff(first, longest)
    pauses = [backoff.next_pause() for _ in range(failures)]
    assert pauses == sorted(pauses)
    assert pauses[0] == min(first, longest)
    assert pauses[-1] <= longest


@given(st.floats(0, 1), st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_jitter_cuts_off_no_more_than_its_part_and_nothing_of_later_pauses(
    jitter: float, drawn: list[float]
) -> None:
    backoff = Backoff(1, 8, jitter=jitter, random_source=iter(drawn).__next__)
    for full, part in zip([1, 2, 4, 8, 8], drawn, strict=True):
        pause = backoff.next_pause()
        assert pause == pytest.approx(full * (1 - jitter * part))
        assert full * (1 - jitter) <= pause + 1e-9
        assert pause <= full


def test_what_makes_no_sense_is_refused() -> None:
    for first, longest in ((0, 1), (1, 0), (-1, 1)):
        with pytest.raises(ValueError, match="longer than 0"):
            Backoff(first, longest)
    with pytest.raises(ValueError, match="random source"):
        Backoff(1, 2, jitter=0.5)
    with pytest.raises(ValueError, match="random source"):
        Backoff(1, 2, jitter=1.5, random_source=lambda: 0.0)
