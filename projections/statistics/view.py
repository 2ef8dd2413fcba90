"""The statistics: images and work by hour and model, all together, and of the last hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    Select,
    Table,
    func,
    select,
)

from domain.jobs.job import Job
from projections.jobs.open_jobs import OpenJobs
from projections.sql.bulk import Bulk
from projections.sql.encoding import Instant, Name
from projections.view import RecordedEvent, ViewDatabase

METADATA = MetaData()

STATISTICS_HOUR = Table(
    "statistics_hour",
    METADATA,
    Column("hour", Instant, primary_key=True),
    Column("model", Name, primary_key=True),
    Column("images", BigInteger, nullable=False),
    Column("pixelsteps", BigInteger, nullable=False),
)
"""What was made with a model within one hour (UTC); ``hour`` is its beginning."""

STATISTICS_TOTAL = Table(
    "statistics_total",
    METADATA,
    Column("model", Name, primary_key=True),
    Column("images", BigInteger, nullable=False),
    Column("pixelsteps", BigInteger, nullable=False),
)
"""What was ever made with a model."""

STATISTICS_RECENT = Table(
    "statistics_recent",
    METADATA,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("step", BigInteger, nullable=False),
    Column("images", BigInteger, nullable=False),
    Column("pixelsteps", BigInteger, nullable=False),
)
"""What was made with all models within ten seconds, for the latest hour and some: a ring. ``step``
counts tens of seconds since 1970 (UTC), ``slot`` is its place in the ring."""

STEP = timedelta(seconds=10)
"""How exactly it is known when something of the last hour was made."""

_SLOTS = 400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_work = OpenJobs("statistics", METADATA)
_hours, _totals, _recent = map(Bulk, (STATISTICS_HOUR, STATISTICS_TOTAL, STATISTICS_RECENT))


class StatisticsView:
    """Follows what is made."""

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
                steps.append((_step_of(event.timestamp), job.pixelsteps))
        _hours.add(connection, hours)
        _totals.add(connection, totals)
        _add_to_ring(connection, steps)


def _step_of(moment: datetime) -> int:
    return (moment - _EPOCH) // STEP


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


@dataclass(frozen=True, slots=True)
class Made:
    """What was made with a model, within one hour or ever."""

    model: str
    images: int
    pixelsteps: int
    hour: datetime | None = None
    """The beginning of the hour; None where no hour was asked for."""

    @property
    def megapixelsteps(self) -> float:
        """Denoiser passes times millions of pixels of these images."""
        return self.pixelsteps / 1_000_000


class StatisticsReader:
    """Answers about what was made."""

    def __init__(self, database: ViewDatabase) -> None:
        """Read from the views' database."""
        self._database = database

    def hours(self, since: datetime, until: datetime | None = None) -> Sequence[Made]:
        """Return what was made in each hour and with each model, the oldest hour first.

        :param since: the first hour that begins then or later.
        :param until: the first hour not to be returned, none if not given.
        """
        hour = STATISTICS_HOUR.c.hour
        wanted = select(STATISTICS_HOUR).where(hour >= since)
        if until is not None:
            wanted = wanted.where(hour < until)
        return self._made(wanted.order_by(hour, STATISTICS_HOUR.c.model))

    def by_model(self, since: datetime | None = None) -> Sequence[Made]:
        """Return what was made with each model, by name.

        :param since: count only hours that begin then or later; None counts everything.
        """
        if since is None:
            return self._made(select(STATISTICS_TOTAL).order_by(STATISTICS_TOTAL.c.model))
        table = STATISTICS_HOUR.c
        return self._made(
            select(
                table.model,
                func.sum(table.images).label("images"),
                func.sum(table.pixelsteps).label("pixelsteps"),
            )
            .where(table.hour >= since)
            .group_by(table.model)
            .order_by(table.model)
        )

    def total(self, since: datetime | None = None) -> Made:
        """Return what was made with all models together, ``model`` being empty.

        :param since: count only hours that begin then or later; None counts everything.
        """
        made = self.by_model(since)
        return Made("", sum(each.images for each in made), sum(each.pixelsteps for each in made))

    def lately(self, since: datetime) -> Made:
        """Return what was made with all models since a moment of the last hour.

        The ten seconds in which that moment lies do not count.
        """
        table = STATISTICS_RECENT.c
        wanted = select(func.sum(table.images), func.sum(table.pixelsteps)).where(
            table.step > _step_of(since)
        )
        with self._database.reading() as connection:
            images, pixelsteps = connection.execute(wanted).one()
        return Made("", int(images or 0), int(pixelsteps or 0))

    def _made(self, wanted: Select[Any]) -> Sequence[Made]:
        with self._database.reading() as connection:
            rows = connection.execute(wanted).all()
        return [
            Made(
                model=row.model,
                images=int(row.images),
                pixelsteps=int(row.pixelsteps),
                hour=row._mapping.get("hour"),
            )
            for row in rows
        ]
