"""The order of service as counters, so that a queue position is found without counting the queue.

Requests are served by priority, the highest first, then first come. A request's position in that
order is a pair of integers: its rank (made from the priority) and its number (dense, by arrival).
Pairs are grouped into ever smaller blocks, eight levels deep, and of each block that is not empty
the view keeps how much waits in it. What is ahead of a request is the sum of the blocks ahead of
its own, level by level, and of the requests ahead of it in its smallest block: at most some hundred
counters, whatever waits.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

_SIGN = 0x7FFF_FFFF_FFFF_FFFF

_RANK_SHIFTS = (52, 44, 36, 28, 0)
"""Bits of the rank that each level leaves out: priorities within a factor of two share a block of
level 0, equal ones one of level 4. Real priorities are few or close together, hence the jump."""

NUMBER_SHIFTS = (18, 12, 6)
"""Bits of the number that each level leaves out, within one rank."""

RANK_LEVELS = len(_RANK_SHIFTS)
"""Levels 0 to one below this divide ranks, the others the numbers of one rank."""

HIGHEST_NUMBER = (1 << 63) - 1
"""Above every number that is ever given out."""

_LOWEST_RANK = -(1 << 63)


def rank_of(priority: float) -> int:
    """Return the priority as a signed 64-bit integer, the highest priority as the lowest."""
    bits: int = struct.unpack(">q", struct.pack(">d", priority + 0.0))[0]
    ascending = bits if bits >= 0 else bits ^ _SIGN
    return ~ascending


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbours in the order of service."""

    level: int
    rank: int
    """The first rank of the block."""
    number: int
    """The first number of the block; 0 on levels that span all numbers of their ranks."""


@dataclass(frozen=True, slots=True)
class Span:
    """The blocks of one level of ranks that lie ahead of a rank, within the block before."""

    level: int
    first: int
    """The rank of the first of them."""
    end: int
    """The rank of the first block that is not ahead any more."""


def blocks_of(rank: int, number: int) -> Sequence[Block]:
    """Return the blocks that a position lies in, one for each level."""
    by_rank = [Block(level, rank >> s << s, 0) for level, s in enumerate(_RANK_SHIFTS)]
    by_number = [
        Block(RANK_LEVELS + level, rank, number >> s << s) for level, s in enumerate(NUMBER_SHIFTS)
    ]
    return by_rank + by_number


def spans_ahead(rank: int) -> Sequence[Span]:
    """Return which blocks lie ahead of a rank, one span for each level of ranks."""
    spans: list[Span] = []
    first = _LOWEST_RANK
    for level, shift in enumerate(_RANK_SHIFTS):
        start = rank >> shift << shift
        spans.append(Span(level, first, start))
        first = start
    return spans
