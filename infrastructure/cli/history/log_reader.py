"""Reads the log: from a position on, or the events of one request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from domain.requests.request import Request
from projections.view import Log, RecordedEvent

_PAGE = 500


def history_of(log: Log, request_id: UUID) -> Sequence[RecordedEvent]:
    """Return the events of a request and of its jobs in log order; none for an unknown id."""
    events = log.tails({request_id: 0})
    jobs = {
        recorded.event.job_id: 0
        for recorded in events
        if isinstance(recorded.event, Request.Sliced)
    }
    if not any(isinstance(recorded.event, Request.Submitted) for recorded in events):
        return []
    return log.tails({request_id: 0, **jobs}) if jobs else events


def history_after(log: Log, position: int, limit: int | None) -> Iterator[RecordedEvent]:
    """Yield the events above a position in log order, at most ``limit`` of them."""
    left = limit
    while left is None or left > 0:
        page = log.after(position, _PAGE if left is None else min(left, _PAGE))
        yield from page
        if not page:
            return
        position = page[-1].position
        left = None if left is None else left - len(page)


def count_after(log: Log, position: int, most: int) -> int:
    """Return how many events lie above a position, counting no further than ``most``."""
    return sum(1 for _ in history_after(log, position, most))
