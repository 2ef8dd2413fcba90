"""How events change the backlog: what they put in the queue and what they take out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Table,
)

from domain.requests.request import Request
from domain.workers.matching import Requirements
from projections.backlog.ranks import blocks_of, rank_of
from projections.backlog.tables import BACKLOG_BLOCK, BACKLOG_COUNTER, BACKLOG_LANE, BACKLOG_REQUEST
from projections.queue.lanes import lane_of
from projections.sql.bulk import Bulk
from projections.sql.encoding import requirements_to_json
from projections.view import RecordedEvent

_requests, _lanes, _blocks, _counters = map(
    Bulk, (BACKLOG_REQUEST, BACKLOG_LANE, BACKLOG_BLOCK, BACKLOG_COUNTER)
)


_ARRIVALS = "arrivals"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A request that is not over."""

    requirements: Requirements | None
    """None where it was read back: its lane has them."""
    lane: int
    rank: int
    number: int
    waiting: int
    pixelsteps: int


class BacklogView:
    """Follows what waits."""

    name = "backlog"
    tables: Sequence[Table] = (BACKLOG_REQUEST, BACKLOG_LANE, BACKLOG_BLOCK, BACKLOG_COUNTER)

    def apply(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        """Count what these events put in the queue and what they take out."""
        events = [record.event for record in records if isinstance(record.event, Request.Event)]
        before = {
            row.pop("request_id"): _Entry(requirements=None, **row)
            for row in _requests.by_key(connection, {event.originator_id for event in events})
        }
        after = dict(before)
        submitted = sum(isinstance(event, Request.Submitted) for event in events)
        number = _draw_numbers(connection, submitted) if submitted else 0
        for event in events:
            if isinstance(event, Request.Submitted):
                number += 1
            _evolve(after, event, number)
        _write_requests(connection, before, after)
        _write_lanes(connection, before, after)
        _write_blocks(connection, before, after)


def _draw_numbers(connection: Connection, how_many: int) -> int:
    """Return the last number given out so far, and take the next ``how_many``."""
    rows = _counters.by_key(connection, [_ARRIVALS])
    last = int(rows[0]["value"]) if rows else 0
    _counters.put(connection, [{"name": _ARRIVALS, "value": last + how_many}])
    return last


def _evolve(entries: dict[UUID, _Entry], event: Request.Event, number: int) -> None:
    request_id = event.originator_id
    if isinstance(event, Request.Submitted):
        entries[request_id] = _Entry(
            requirements=event.requirements,
            lane=lane_of(event.requirements),
            rank=rank_of(event.priority),
            number=number,
            waiting=event.images,
            pixelsteps=event.settings.pixelsteps,
        )
    elif isinstance(event, Request.Sliced):
        entries[request_id] = replace(entries[request_id], waiting=event.remaining)
    elif isinstance(event, Request.JobReturned):
        entry = entries[request_id]
        entries[request_id] = replace(entry, waiting=entry.waiting + event.lost)
    elif isinstance(event, Request.Ended):
        del entries[request_id]


_Entries = Mapping[UUID, _Entry]


def _write_requests(connection: Connection, before: _Entries, after: _Entries) -> None:
    rows = [
        {
            "request_id": request_id,
            "lane": entry.lane,
            "rank": entry.rank,
            "number": entry.number,
            "waiting": entry.waiting,
            "pixelsteps": entry.pixelsteps,
        }
        for request_id, entry in after.items()
        if before.get(request_id) != entry
    ]
    _requests.put(connection, rows)
    _requests.delete(connection, before.keys() - after.keys())


def _write_lanes(connection: Connection, before: _Entries, after: _Entries) -> None:
    changes: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    requirements: dict[int, str] = {}
    for entries, sign in ((before, -1), (after, 1)):
        for entry in entries.values():
            change = changes[entry.lane]
            change[0] += sign
            change[1] += sign * (entry.waiting > 0)
            change[2] += sign * entry.waiting
            if entry.requirements is not None:
                requirements[entry.lane] = requirements_to_json(entry.requirements)
    changed = {lane for lane, change in changes.items() if any(change)}
    stored = {row["lane"]: row for row in _lanes.by_key(connection, changed)}
    rows: dict[int, dict[str, Any]] = {}
    for lane in changed:
        row = stored.get(lane)
        had = (0, 0, 0) if row is None else (row["open"], row["requests"], row["images"])
        opened, requests, images = map(sum, zip(had, changes[lane], strict=True))
        rows[lane] = {
            "lane": lane,
            "requirements": requirements[lane] if row is None else row["requirements"],
            "open": opened,
            "requests": requests,
            "images": images,
        }
    left = {lane for lane, row in rows.items() if row["open"] == 0}
    _lanes.put(connection, [rows[lane] for lane in changed - left])
    _lanes.delete(connection, left)


def _write_blocks(connection: Connection, before: _Entries, after: _Entries) -> None:
    deltas: defaultdict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0])
    for request_id in before.keys() | after.keys():
        old, new = before.get(request_id), after.get(request_id)
        entry = new or old
        assert entry is not None
        requests, pixelsteps = (
            now - then for now, then in zip(_load(new), _load(old), strict=True)
        )
        if requests or pixelsteps:
            for block in blocks_of(entry.rank, entry.number):
                delta = deltas[block.level, block.rank, block.number]
                delta[0] += requests
                delta[1] += pixelsteps
    _blocks.add(connection, deltas)


def _load(entry: _Entry | None) -> tuple[int, int]:
    """Return what a request adds to the counters: one if it waits, and its work."""
    if entry is None or not entry.waiting:
        return 0, 0
    return 1, entry.waiting * entry.pixelsteps
