"""Statistics of the last minute, hour, day and month, cached for frequent callers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.ports import Clock
from projections.sql.cached import CachedAnswer
from projections.statistics.reader import Made, StatisticsReader

MONTH = timedelta(days=30)
"""What counts as a month."""

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Totals:
    """What was made with all models together."""

    minute: Made
    """To ten seconds, as is the hour."""
    hour: Made
    day: Made
    """Since the whole hour after this time yesterday."""
    month: Made
    """Since the whole hour after this time 30 days ago."""
    total: Made


@dataclass(frozen=True, slots=True)
class ByModel:
    """How many images were made, by model."""

    day: Mapping[str, int]
    month: Mapping[str, int]
    total: Mapping[str, int]


class RecentStatistics:
    """Answers that may be ten seconds old."""

    def __init__(
        self,
        statistics: StatisticsReader,
        clock: Clock,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask the statistics.

        :param seconds: seconds of a clock that never goes back.
        """
        self._statistics = statistics
        self._clock = clock
        self._totals: CachedAnswer[None, Totals] = CachedAnswer(
            self._read_totals, seconds=_SECONDS, clock=seconds
        )
        self._by_model: CachedAnswer[None, ByModel] = CachedAnswer(
            self._read_by_model, seconds=_SECONDS, clock=seconds
        )

    def totals(self) -> Totals:
        """Return what was made with all models together."""
        return self._totals(None)

    def by_model(self) -> ByModel:
        """Return how many images were made with each model."""
        return self._by_model(None)

    def _read_totals(self, _: None) -> Totals:
        now = self._clock.now()
        return Totals(
            minute=self._statistics.recent(now - _MINUTE),
            hour=self._statistics.recent(now - _HOUR),
            day=self._statistics.total(now - _DAY),
            month=self._statistics.total(now - MONTH),
            total=self._statistics.total(),
        )

    def _read_by_model(self, _: None) -> ByModel:
        now = self._clock.now()

        def images(since: datetime | None = None) -> Mapping[str, int]:
            made: Sequence[Made] = self._statistics.by_model(since)
            return {each.model: each.images for each in made}

        return ByModel(day=images(now - _DAY), month=images(now - MONTH), total=images())
