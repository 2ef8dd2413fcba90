"""The tables of the backlog: what waits, by request, lane and block, as counters."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
)

METADATA = MetaData()


BACKLOG_REQUEST = Table(
    "backlog_request",
    METADATA,
    Column("request_id", Uuid, primary_key=True),
    Column("lane", BigInteger, nullable=False),
    Column("rank", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("waiting", Integer, nullable=False),
    Column("pixelsteps", BigInteger, nullable=False),
    Index("backlog_request_in_order", "rank", "number"),
)
"""Requests that are not over: their queue position and how much of each waits."""


BACKLOG_LANE = Table(
    "backlog_lane",
    METADATA,
    Column("lane", BigInteger, primary_key=True, autoincrement=False),
    Column("requirements", Text, nullable=False),
    Column("open", Integer, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("images", Integer, nullable=False),
)
"""What waits, by what it asks of a worker. ``open`` counts the requests of the lane that are not
over, of which ``requests`` wait; a lane without any is not kept."""


BACKLOG_BLOCK = Table(
    "backlog_block",
    METADATA,
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("rank", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("requests", BigInteger, nullable=False),
    Column("pixelsteps", BigInteger, nullable=False),
)
"""What waits, by block of the order of service (:mod:`projections.backlog.ranks`), none empty."""


BACKLOG_COUNTER = Table(
    "backlog_counter",
    METADATA,
    Column("name", String(16), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""How many requests were ever submitted: the number of the last one."""
