"""What the last hour made, and which versions LoRAs were found to mean."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision: str | None = "r0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create the new tables."""
    _statistics()
    _lora_versions()
    _words_about_images()
    _presence()
    _worker_records()
    _account_records()


def _statistics() -> None:
    op.create_table(
        "statistics_recent",
        sa.Column("slot", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("images", sa.BigInteger(), nullable=False),
        sa.Column("pixelsteps", sa.BigInteger(), nullable=False),
    )

    # A view is only ever what the whole log says: this one follows it once more.
    for table in ("statistics_hour", "statistics_total", "statistics_open_job"):
        op.execute(f"DELETE FROM {table}")
    op.execute("DELETE FROM view_position WHERE name = 'statistics'")


def _lora_versions() -> None:
    op.create_table(
        "lora_version",
        sa.Column("asked", sa.String(300), primary_key=True),
        sa.Column("found", sa.Text(), nullable=True),
        sa.Column("fetched_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_lora_version_fetched_at", "lora_version", ["fetched_at"])


def _words_about_images() -> None:
    _add_text("request_generation", "metadata")


def _presence() -> None:
    _add_text("worker_presence", "address")


def _add_text(table: str, column: str) -> None:
    """Add a column of text that is empty in old rows."""
    with op.batch_alter_table(table) as changed:
        changed.add_column(sa.Column(column, sa.Text(), nullable=False, server_default=""))
    with op.batch_alter_table(table) as changed:
        changed.alter_column(column, existing_type=sa.Text(), server_default=None)


def _worker_records() -> None:
    for table in ("worker_record", "worker_open_job"):
        op.execute(f"DELETE FROM {table}")
    op.execute("DELETE FROM view_position WHERE name = 'workers'")
    with op.batch_alter_table("worker_record") as record:
        record.add_column(sa.Column("deleted", sa.Boolean(), nullable=False))
        record.add_column(sa.Column("seconds", sa.Double(), nullable=False))
        record.add_column(sa.Column("in_cluster", sa.Boolean(), nullable=False))
        record.add_column(sa.Column("lost_lately", sa.Integer(), nullable=False))
        record.add_column(sa.Column("losing_since", sa.BigInteger(), nullable=True))
    op.create_index("ix_worker_record_losing_since", "worker_record", ["losing_since"])


def _account_records() -> None:
    op.create_table(
        "account_record",
        sa.Column("account_id", sa.Uuid(), primary_key=True),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("images_used", sa.BigInteger(), nullable=False),
        sa.Column("pixelsteps_used", sa.BigInteger(), nullable=False),
        sa.Column("images_made", sa.BigInteger(), nullable=False),
        sa.Column("pixelsteps_made", sa.BigInteger(), nullable=False),
        sa.Column("kudos", sa.BigInteger(), nullable=False),
    )
    op.create_index("account_record_by_kudos", "account_record", ["deleted", "kudos", "number"])
    op.create_index("account_record_by_number", "account_record", ["deleted", "number"])
    op.create_table(
        "account_open_request",
        sa.Column("request_id", sa.Uuid(), primary_key=True),
        sa.Column("account_id", sa.Uuid(), nullable=False),
    )
    op.create_index("ix_account_open_request_account_id", "account_open_request", ["account_id"])
    op.create_table(
        "account_open_job",
        sa.Column("job_id", sa.Uuid(), primary_key=True),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("pixelsteps", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Drop the new tables and columns."""
    for table in ("account_open_job", "account_open_request", "account_record"):
        op.drop_table(table)
    op.execute("DELETE FROM view_position WHERE name = 'accounts'")
    op.drop_index("ix_worker_record_losing_since", "worker_record")
    with op.batch_alter_table("worker_record") as record:
        for column in ("deleted", "seconds", "in_cluster", "lost_lately", "losing_since"):
            record.drop_column(column)
    for table, column in (("worker_presence", "address"), ("request_generation", "metadata")):
        with op.batch_alter_table(table) as changed:
            changed.drop_column(column)
    for table in ("lora_version", "statistics_recent"):
        op.drop_table(table)
