"""The inline views: the queue, the leases and the directory."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision: str | None = "r0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create the queue's and the directory's tables."""
    op.create_table(
        "lane",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("requirements", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_lane_position", "lane", ["position"])
    op.create_table(
        "open_request",
        sa.Column("request_id", sa.Uuid(), primary_key=True),
        sa.Column("lane", sa.BigInteger(), nullable=False),
        sa.Column("priority", sa.Float(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.Integer(), nullable=False),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
    )
    waits, idle = sa.text("remaining > 0"), sa.text("jobs = 0")
    op.create_index(
        "open_request_waiting",
        "open_request",
        ["lane", sa.text("priority DESC"), "place"],
        sqlite_where=waits,
        postgresql_where=waits,
    )
    op.create_index(
        "open_request_idle",
        "open_request",
        ["expires_at"],
        sqlite_where=idle,
        postgresql_where=idle,
    )
    op.create_table(
        "lease",
        sa.Column("job_id", sa.Uuid(), primary_key=True),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_lease_ends_at", "lease", ["ends_at"])
    op.create_table(
        "account",
        sa.Column("account_id", sa.Uuid(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_digest", sa.String(64), nullable=False, unique=True),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("patron", sa.Boolean(), nullable=False),
        sa.Column("moderator", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_account_name", "account", ["name"])
    op.create_table(
        "worker",
        sa.Column("worker_id", sa.Uuid(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False, unique=True),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("capabilities", sa.Text(), nullable=False),
        sa.Column("maintenance", sa.Boolean(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_worker_owner_id", "worker", ["owner_id"])
    if op.get_context().dialect.name == "postgresql":
        # A queue's rows live for seconds: let vacuum come before dead ones slow its head down.
        for table in ("open_request", "lease"):
            op.execute(
                f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.01, "
                "autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0)"
            )


def downgrade() -> None:
    """Drop the tables; the log can fill them again."""
    for table in ("worker", "account", "lease", "open_request", "lane"):
        op.drop_table(table)
