"""The tables of the statistics: by hour, in all, and a ring of the last hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    MetaData,
    Table,
)

from projections.sql.encoding import Instant, Name

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
counts tens of seconds since 1970 (UTC), ``slot`` is its index in the ring."""


STEP = timedelta(seconds=10)
"""How exactly it is known when something of the last hour was made."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def step_of(moment: datetime) -> int:
    return (moment - _EPOCH) // STEP
