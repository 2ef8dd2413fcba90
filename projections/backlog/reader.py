"""The backlog: how much waits for whom, and how much of it is ahead of a request, from counters.

The exact queue answers "what is next for this worker"; whatever needs a count of what waits is
answered here, to the position that the follower has reached.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    bindparam,
    func,
    literal,
    select,
    type_coerce,
    union_all,
)

from domain.workers.matching import Candidate, Requirements, why_not
from projections.backlog.ranks import (
    HIGHEST_NUMBER,
    NUMBER_SHIFTS,
    RANK_LEVELS,
    rank_of,
    spans_ahead,
)
from projections.backlog.tables import BACKLOG_BLOCK, BACKLOG_LANE, BACKLOG_REQUEST
from projections.sql.cached import CachedAnswer
from projections.sql.encoding import requirements_from_json
from projections.sql.statements import Statement
from projections.status.fold import RequestStatus
from projections.view import ViewDatabase

_SECONDS = 1.0
"""How old the counts of what a worker may not have can be."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What would be served before a request."""

    requests: int = 0
    megapixelsteps: float = 0.0


@dataclass(frozen=True, slots=True)
class _Lane:
    requirements: Requirements
    requests: int
    images: int


_own = BACKLOG_REQUEST.alias("own")
_here = select(
    # A request that the follower has not met came after all that it has.
    func.coalesce(
        select(_own.c.number).where(_own.c.request_id == bindparam("request")).scalar_subquery(),
        bindparam("highest", HIGHEST_NUMBER, type_=BigInteger),
    ).label("number")
).cte("here")
"""The number of the request that asks, found in the statement that needs it: one trip, not two."""


def _block_start(shift: int) -> ColumnElement[int]:
    size = literal(1 << shift, BigInteger)
    return _here.c.number // size * size


def _ahead_in_ranks(level: int) -> Select[int, int]:
    blocks = BACKLOG_BLOCK.c
    return select(blocks.requests, blocks.pixelsteps).where(
        blocks.level == level,
        blocks.rank >= bindparam(f"rank{level}", type_=BigInteger),
        blocks.rank < bindparam(f"end_rank{level}", type_=BigInteger),
    )


def _ahead_in_numbers(level: int) -> Select[int, int]:
    blocks = BACKLOG_BLOCK.c
    first = _block_start(NUMBER_SHIFTS[level - 1]) if level else literal(0, BigInteger)
    return select(blocks.requests, blocks.pixelsteps).where(
        blocks.level == RANK_LEVELS + level,
        blocks.rank == bindparam("rank", type_=BigInteger),
        blocks.number >= first,
        blocks.number < _block_start(NUMBER_SHIFTS[level]),
    )


def _ahead_in_own_block() -> Select[int, int]:
    requests = BACKLOG_REQUEST.c
    work = type_coerce(requests.waiting, BigInteger) * requests.pixelsteps
    return select(literal(1, BigInteger), work).where(
        requests.rank == bindparam("rank", type_=BigInteger),
        requests.number >= _block_start(NUMBER_SHIFTS[-1]),
        requests.number < _here.c.number,
        requests.waiting > 0,
    )


_ahead = union_all(
    *map(_ahead_in_ranks, range(RANK_LEVELS)),
    *map(_ahead_in_numbers, range(len(NUMBER_SHIFTS))),
    _ahead_in_own_block(),
).subquery()
_requests, _pixelsteps = _ahead.c
_AHEAD = Statement(select(func.sum(_requests), func.sum(_pixelsteps)))
_LANES = select(BACKLOG_LANE).where(BACKLOG_LANE.c.requests > 0)
_IMAGES = select(func.sum(BACKLOG_LANE.c.images)).where(BACKLOG_LANE.c.requests > 0)
_TOTALS = select(func.sum(BACKLOG_BLOCK.c.requests), func.sum(BACKLOG_BLOCK.c.pixelsteps)).where(
    BACKLOG_BLOCK.c.level == 0
)


class BacklogReader:
    """Counts of what waits; what an answer costs does not depend on how much waits."""

    def __init__(self, database: ViewDatabase, clock: Callable[[], float] = time.monotonic) -> None:
        """Read from the views' database.

        :param clock: seconds of a clock that never goes back.
        """
        self._database = database
        self._lanes: CachedAnswer[None, Sequence[_Lane]] = CachedAnswer(
            self._read_lanes, seconds=_SECONDS, clock=clock
        )
        self._images: CachedAnswer[None, int] = CachedAnswer(
            self._count_images, seconds=_SECONDS, clock=clock
        )
        self._skipped: CachedAnswer[Candidate, Mapping[str, int]] = CachedAnswer(
            self._count_skipped, seconds=_SECONDS, clock=clock
        )

    def ahead_of(self, status: RequestStatus) -> Ahead:
        """Return what would be served before a request, nothing when it does not wait."""
        if not status.waiting:
            return Ahead()
        rank = rank_of(status.priority)
        values: dict[str, object] = {"request": status.request_id, "rank": rank}
        for span in spans_ahead(rank):
            values[f"rank{span.level}"], values[f"end_rank{span.level}"] = span.first, span.end
        with self._database.reading() as connection:
            ((requests, pixelsteps),) = _AHEAD.rows(connection, values)
        return Ahead(int(requests or 0), int(pixelsteps or 0) / 1_000_000)

    def position_of(self, status: RequestStatus) -> int:
        """Return how many requests would be served before it; 0 when it does not wait."""
        return self.ahead_of(status).requests

    def work_ahead(self, status: RequestStatus) -> float:
        """Return the megapixelsteps that would be served before it; 0 when it does not wait."""
        return self.ahead_of(status).megapixelsteps

    def skipped(self, worker: Candidate) -> Mapping[str, int]:
        """Return how many waiting requests this worker may not have, by skip reason.

        Up to a second old, or older where that took long to count.
        """
        return self._skipped(worker)

    def waiting_requests(self) -> int:
        """Return how many requests wait for a worker."""
        return self._totals()[0]

    def waiting_work(self) -> float:
        """Return the megapixelsteps that wait for a worker."""
        return self._totals()[1] / 1_000_000

    def waiting_images(self) -> int:
        """Return how many images wait for a worker, up to a second ago."""
        return self._images(None)

    def _totals(self) -> tuple[int, int]:
        with self._database.reading() as connection:
            requests, pixelsteps = connection.execute(_TOTALS).one()
        return int(requests or 0), int(pixelsteps or 0)

    def _count_images(self, _: None) -> int:
        with self._database.reading() as connection:
            return int(connection.execute(_IMAGES).scalar() or 0)

    def _read_lanes(self, _: None) -> Sequence[_Lane]:
        with self._database.reading() as connection:
            rows = connection.execute(_LANES).all()
        return [
            _Lane(requirements_from_json(row.requirements), row.requests, row.images)
            for row in rows
        ]

    def _count_skipped(self, worker: Candidate) -> Mapping[str, int]:
        skipped: Counter[str] = Counter()
        for lane in self._lanes(None):
            reason = why_not(worker, lane.requirements)
            if reason is not None:
                skipped[reason.value] += lane.requests
        return dict(skipped)
