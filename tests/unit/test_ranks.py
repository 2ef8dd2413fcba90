"""Ranks and blocks: the order of service in integers, cut so that sums of blocks give places."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from projections.ranks import LEVELS, Block, after_all_of, blocks_of, rank_of, spans_ahead

PRIORITIES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 10.0, 10.01, -3.5]),
    st.integers(-10_000, 10_000_000_00).map(lambda hundredths: hundredths / 100),
    st.floats(allow_nan=False),
)
PLACES = st.tuples(PRIORITIES.map(rank_of), st.integers(1, 1 << 22))


@given(PRIORITIES, PRIORITIES)
def test_the_higher_priority_has_the_lower_rank(one: float, other: float) -> None:
    assert (rank_of(one) < rank_of(other)) is (one > other)
    assert (rank_of(one) == rank_of(other)) is (one == other)


@given(PRIORITIES)
def test_ranks_fit_a_signed_64_bit_column(priority: float) -> None:
    assert -(1 << 63) <= rank_of(priority) < 1 << 63


@given(PLACES, PLACES)
def test_a_place_is_ahead_exactly_when_one_span_or_the_own_block_says_so(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    assert counted_ahead(one, of=other) is (one < other)


@given(PLACES, PRIORITIES.map(rank_of))
def test_behind_all_of_a_rank_nothing_of_it_is_left_out(place: tuple[int, int], rank: int) -> None:
    assert counted_ahead(place, of=after_all_of(rank)) is (place[0] <= rank)


def counted_ahead(place: tuple[int, int], *, of: tuple[int, int]) -> bool:
    """Return whether the sum over what is ahead of one place would count the other, and once."""
    blocks = {block.level: block for block in blocks_of(*place)}
    assert sorted(blocks) == list(range(LEVELS))
    spans = spans_ahead(*of)
    times = sum(span.first <= key(blocks[span.level]) < span.end for span in spans)
    own_block = key(blocks_of(*of)[-1])
    times += key(blocks[LEVELS - 1]) == own_block and place < of
    assert times <= 1
    return times == 1


def key(block: Block) -> tuple[int, int]:
    return block.rank, block.number
