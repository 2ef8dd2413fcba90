"""The statistics: images and work by hour and model, and all together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, MetaData, Select, Table, func, select

from domain.job import Job
from projections.columns import Name
from projections.encoding import Instant
from projections.open_work import OpenWork
from projections.rows import add_to_counters
from projections.view import Recorded, ViewDatabase

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

_work = OpenWork("statistics", METADATA)


class StatisticsView:
    """Follows what is made."""

    name = "statistics"
    tables: Sequence[Table] = (STATISTICS_HOUR, STATISTICS_TOTAL, *_work.tables)

    def apply(self, connection: Connection, records: Sequence[Recorded]) -> None:
        """Count the images among these events."""
        hours: defaultdict[tuple[datetime, str], list[int]] = defaultdict(lambda: [0, 0])
        totals: defaultdict[tuple[str], list[int]] = defaultdict(lambda: [0, 0])
        for event, job in _work.trace(connection, records):
            if isinstance(event, Job.ImageGenerated):
                hour = _hour_of(event.timestamp)
                for counted in (hours[hour, job.model], totals[job.model,]):
                    counted[0] += 1
                    counted[1] += job.pixelsteps
        add_to_counters(connection, STATISTICS_HOUR, hours)
        add_to_counters(connection, STATISTICS_TOTAL, totals)


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
