"""The tables of the view of accounts."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, MetaData, Table, Uuid

METADATA = MetaData()


ACCOUNT_RECORD = Table(
    "account_record",
    METADATA,
    Column("account_id", Uuid, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("images_used", BigInteger, nullable=False),
    Column("pixelsteps_used", BigInteger, nullable=False),
    Column("images_made", BigInteger, nullable=False),
    Column("pixelsteps_made", BigInteger, nullable=False),
    Column("kudos", BigInteger, nullable=False),
    Index("account_record_by_kudos", "deleted", "kudos", "number"),
    Index("account_record_by_number", "deleted", "number"),
)
"""One account, anonymous among them; ``kudos`` is in hundredths, what is held included."""


ACCOUNT_OPEN_REQUEST = Table(
    "account_open_request",
    METADATA,
    Column("request_id", Uuid, primary_key=True),
    Column("account_id", Uuid, nullable=False, index=True),
)
"""The requests of registered accounts that are not over."""


ACCOUNT_OPEN_JOB = Table(
    "account_open_job",
    METADATA,
    Column("job_id", Uuid, primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("owner_id", Uuid, nullable=False),
    Column("pixelsteps", BigInteger, nullable=False),
)
"""Who asked for a job and whose worker makes it, while more of it may come."""
