"""Lanes: waiting requests with equal requirements, so that matching is asked once for all of them.

A lane's id is made from its requirements, so all processes write the same row
for it, and lanes are only ever inserted: no two requests wait for each other here.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import sha256

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, bindparam, select
from sqlalchemy.dialects import postgresql

from domain.workers.matching import Candidate, Requirements, why_not
from projections.sql.encoding import requirements_from_json, requirements_to_json
from projections.sql.statements import Statement

METADATA = MetaData()

LANE = Table(
    "lane",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("requirements", Text, nullable=False),
    Column("position", BigInteger, nullable=False, index=True),
)
"""Every combination of requirements ever asked for; ``position`` is where the log first had it."""

_CANDIDATES_REMEMBERED = 1000
_HORIZON_SECONDS = 1.0

_LANES_FROM = Statement(
    select(LANE.c.id, LANE.c.requirements).where(LANE.c.position >= bindparam("position"))
)
# SQLite knows PostgreSQL's words for this.
_OPEN = Statement(postgresql.insert(LANE).on_conflict_do_nothing())


def lane_of(requirements: Requirements) -> int:
    """Return the lane's id: 63 bits of the SHA-256 of the requirements."""
    digest = sha256(requirements_to_json(requirements).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def open_lane(connection: Connection, requirements: Requirements, position: int) -> int:
    """Make sure that the lane stands in its table and return its id."""
    lane = lane_of(requirements)
    text = requirements_to_json(requirements)
    _OPEN.run(connection, {"id": lane, "requirements": text, "position": position})
    return lane


class LaneMatcher:
    """Which lanes a worker may serve, asked once for each lane and worker declaration.

    Lanes are kept in memory and only new ones are read: those from ``horizon`` on, below which no
    lane can appear any more.
    """

    def __init__(self, horizon: Callable[[], int]) -> None:
        """Read lanes with the log's own horizon."""
        self._horizon = horizon
        self._read_from = 0
        self._horizon_asked_at = float("-inf")
        self._known: dict[int, Requirements] = {}
        self._order: list[int] = []
        self._matches: OrderedDict[Candidate, tuple[int, list[int]]] = OrderedDict()
        self._lock = threading.Lock()

    def matching(self, connection: Connection, worker: Candidate) -> Sequence[int]:
        """Return the ids of all lanes that this worker may serve, whether anything waits there."""
        with self._lock:
            self._learn(connection)
            seen, lanes = self._matches.pop(worker, (0, []))
            fresh = self._order[seen:]
            if fresh:
                allowed = [lane for lane in fresh if why_not(worker, self._known[lane]) is None]
                lanes = [*lanes, *allowed]
            self._matches[worker] = (len(self._order), lanes)
            if len(self._matches) > _CANDIDATES_REMEMBERED:
                self._matches.popitem(last=False)
            return lanes

    def is_for(self, worker: Candidate, lane: int) -> bool:
        """Whether this worker may serve a lane; not, while nothing is known of the lane yet."""
        requirements = self._known.get(lane)
        return requirements is not None and why_not(worker, requirements) is None

    def models_of(self, lane: int) -> tuple[str, ...]:
        """Return the models of which a lane that was matched asks for one; empty means any."""
        return self._known[lane].models

    def _learn(self, connection: Connection) -> None:
        horizon = self._read_from
        if time.monotonic() - self._horizon_asked_at >= _HORIZON_SECONDS:
            # An old horizon is as safe as a new one: it only reads a few lanes again.
            horizon = self._horizon()
            self._horizon_asked_at = time.monotonic()
        for lane, requirements in _LANES_FROM.rows(connection, {"position": self._read_from}):
            if lane not in self._known:
                self._known[lane] = requirements_from_json(requirements)
                self._order.append(lane)
        self._read_from = horizon
