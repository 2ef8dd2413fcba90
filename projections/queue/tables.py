"""The tables of the queue, and their indexes: nothing asked may depend on how much waits."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, Table, Uuid, text

from projections.sql.encoding import Instant

METADATA = MetaData()

OPEN_REQUEST = Table(
    "open_request",
    METADATA,
    Column("request_id", Uuid, primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("lane", BigInteger, nullable=False),
    Column("priority", Float, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("remaining", Integer, nullable=False),
    Column("jobs", Integer, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("waiting_since", Instant, nullable=False, server_default=text("0")),
)
"""Requests that are not over. ``place`` is the position of their first event: first come, first
served. ``remaining`` images wait, ``jobs`` are at work."""

WAITS = text("remaining > 0")
"""The condition that a request waits, spelt so that the databases use the partial indexes."""

Index(
    "open_request_waiting",
    OPEN_REQUEST.c.lane,
    OPEN_REQUEST.c.priority.desc(),
    OPEN_REQUEST.c.place,
    sqlite_where=WAITS,
    postgresql_where=WAITS,
)
Index(
    "open_request_of_account",
    OPEN_REQUEST.c.account_id,
    OPEN_REQUEST.c.lane,
    OPEN_REQUEST.c.priority.desc(),
    OPEN_REQUEST.c.place,
    sqlite_where=WAITS,
    postgresql_where=WAITS,
)
Index(
    "open_request_idle",
    OPEN_REQUEST.c.expires_at,
    sqlite_where=text("jobs = 0"),
    postgresql_where=text("jobs = 0"),
)

LEASE = Table(
    "lease",
    METADATA,
    Column("job_id", Uuid, primary_key=True),
    Column("ends_at", Instant, nullable=False, index=True),
)
"""Jobs at work and when their leases end."""
