"""Ranks and blocks: the order of service in integers, cut so that sums of blocks give places."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from projections.backlog.ranks import NUMBER_SHIFTS, RANK_LEVELS, blocks_of, rank_of, spans_ahead

PRIORITIES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 10.0, 10.01, -3.5]),
    st.integers(-10_000, 10_000_000_00).map(lambda hundredths: hundredths / 100),
    st.floats(allow_nan=False),
)
RANKS = PRIORITIES.map(rank_of)


@given(PRIORITIES, PRIORITIES)
def test_the_higher_priority_has_the_lower_rank(one: float, other: float) -> None:
    assert (rank_of(one) < rank_of(other)) is (one > other)
    assert (rank_of(one) == rank_of(other)) is (one == other)


@given(PRIORITIES)
def test_ranks_fit_a_signed_64_bit_column(priority: float) -> None:
    assert -(1 << 63) <= rank_of(priority) < 1 << 63


@given(RANKS, RANKS)
def test_a_rank_is_ahead_exactly_when_one_span_says_so(one: int, other: int) -> None:
    blocks = {block.level: block for block in blocks_of(one, 1)}
    spans = spans_ahead(other)
    times = sum(span.first <= blocks[span.level].rank < span.end for span in spans)
    assert times == (one < other)


@given(RANKS, st.integers(1, 1 << 22))
def test_every_block_holds_the_next_smaller_one(rank: int, number: int) -> None:
    blocks = blocks_of(rank, number)
    assert [block.level for block in blocks] == list(range(RANK_LEVELS + len(NUMBER_SHIFTS)))
    for larger, smaller in pairwise(blocks):
        assert (larger.rank, larger.number) <= (smaller.rank, smaller.number) <= (rank, number)
