"""What was made: by hour, by model, in all, and within the last hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Select,
    func,
    select,
)

from projections.statistics.tables import (
    STATISTICS_HOUR,
    STATISTICS_RECENT,
    STATISTICS_TOTAL,
    step_of,
)
from projections.view import ViewDatabase


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
    """Reads the statistics of images made."""

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

    def recent(self, since: datetime) -> Made:
        """Return what was made with all models since a moment of the last hour.

        The ten seconds in which that moment lies do not count.
        """
        table = STATISTICS_RECENT.c
        wanted = select(func.sum(table.images), func.sum(table.pixelsteps)).where(
            table.step > step_of(since)
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
