"""The table of the view of workers."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
)

from projections.sql.encoding import Instant, Name

METADATA = MetaData()


WORKER_RECORD = Table(
    "worker_record",
    METADATA,
    Column("worker_id", Uuid, primary_key=True),
    Column("name", Name, nullable=False),
    Column("owner_id", Uuid, nullable=False),
    Column("capabilities", Text, nullable=False),
    Column("maintenance", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("registered_at", Instant, nullable=False),
    Column("jobs", Integer, nullable=False),
    Column("uncompleted_jobs", Integer, nullable=False),
    Column("images", Integer, nullable=False),
    Column("pixelsteps", BigInteger, nullable=False),
    Column("kudos", Double, nullable=False),
    Column("speed", Double),
    Column("seconds", Double, nullable=False),
    Column("last_job_at", Instant),
    Column("in_cluster", Boolean, nullable=False),
    Column("lost_lately", Integer, nullable=False),
    Column("losing_since", Instant, index=True),
)
"""One worker; ``speed`` is in megapixelsteps a second, NULL until it was measured."""
