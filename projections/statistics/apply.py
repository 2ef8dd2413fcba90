"""How events change the statistics: images and work by hour and model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import (
    Connection,
    Table,
)

from domain.jobs.job import Job
from projections.jobs.open_jobs import OpenJobs
from projections.sql.bulk import Bulk
from projections.statistics.tables import (
    METADATA,
    STATISTICS_HOUR,
    STATISTICS_RECENT,
    STATISTICS_TOTAL,
    step_of,
)
from projections.view import RecordedEvent

_SLOTS = 400


_work = OpenJobs("statistics", METADATA)


_hours, _totals, _recent = map(Bulk, (STATISTICS_HOUR, STATISTICS_TOTAL, STATISTICS_RECENT))


class StatisticsView:
    """Counts the images that are made."""

    name = "statistics"
    tables: Sequence[Table] = (
        STATISTICS_HOUR,
        STATISTICS_TOTAL,
        STATISTICS_RECENT,
        *_work.tables,
    )

    def apply(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        """Count the images among these events."""
        hours: defaultdict[tuple[datetime, str], list[int]] = defaultdict(lambda: [0, 0])
        totals: defaultdict[tuple[str], list[int]] = defaultdict(lambda: [0, 0])
        steps: list[tuple[int, int]] = []
        for event, job in _work.trace(connection, records):
            if isinstance(event, Job.ImageGenerated):
                hour = _hour_of(event.timestamp)
                for counted in (hours[hour, job.model], totals[job.model,]):
                    counted[0] += 1
                    counted[1] += job.pixelsteps
                steps.append((step_of(event.timestamp), job.pixelsteps))
        _hours.add(connection, hours)
        _totals.add(connection, totals)
        _add_to_ring(connection, steps)


def _add_to_ring(connection: Connection, made: Sequence[tuple[int, int]]) -> None:
    """Count images, each by its step and its work; a later step takes an earlier one's slot."""
    slots = {step % _SLOTS for step, _ in made}
    changed = {row["slot"]: row for row in _recent.by_key(connection, slots)}
    for step, pixelsteps in made:
        slot = step % _SLOTS
        row = changed.get(slot)
        if row is None or row["step"] < step:
            row = {"slot": slot, "step": step, "images": 0, "pixelsteps": 0}
        elif row["step"] > step:
            # Clocks of several machines never differ by a whole ring; an old image is no news.
            continue
        changed[slot] = row | {
            "images": row["images"] + 1,
            "pixelsteps": row["pixelsteps"] + pixelsteps,
        }
    _recent.put(connection, changed.values())


def _hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
