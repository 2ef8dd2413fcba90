"""The views that follow the log, how far each has got, and which workers were seen lately."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

_NAME = sa.String(255)


def upgrade() -> None:
    """Create the followers' tables."""
    op.create_table(
        "backlog_block",
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("rank", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("pixelsteps", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("level", "rank", "number"),
    )
    op.create_table(
        "backlog_counter",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "backlog_lane",
        sa.Column("lane", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("requirements", sa.Text(), nullable=False),
        sa.Column("open", sa.Integer(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("lane"),
    )
    op.create_table(
        "backlog_request",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("lane", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("pixelsteps", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("request_id"),
    )
    op.create_index("backlog_request_in_order", "backlog_request", ["rank", "number"])
    op.create_table(
        "model_open_job",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("pixelsteps", sa.BigInteger(), nullable=False),
        sa.Column("batched_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.create_table(
        "model_record",
        sa.Column("model", _NAME, nullable=False),
        sa.Column("waiting_requests", sa.Integer(), nullable=False),
        sa.Column("waiting_images", sa.Integer(), nullable=False),
        sa.Column("waiting_pixelsteps", sa.BigInteger(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("pixelsteps", sa.BigInteger(), nullable=False),
        sa.Column("speed", sa.Double(), nullable=True),
        sa.Column("seconds_per_image", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("model"),
    )
    op.create_table(
        "model_request",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("models", sa.Text(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("pixelsteps", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("request_id"),
    )
    op.create_table(
        "request_generation",
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("batch_index", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("worker_name", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("generated_at", sa.BigInteger(), nullable=False),
        sa.Column("kudos", sa.Double(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("image_id"),
    )
    op.create_index(
        "request_generation_by_request", "request_generation", ["request_id", "position"]
    )
    op.create_table(
        "request_open_job",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.create_table(
        "request_status",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("finished", sa.Integer(), nullable=False),
        sa.Column("restarted", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("kudos", sa.Double(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("r2", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Double(), nullable=False),
        sa.Column("submitted_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("pixelsteps", sa.BigInteger(), nullable=False),
        sa.Column("requirements", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("jobs", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("request_id"),
    )
    op.create_table(
        "statistics_hour",
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("images", sa.BigInteger(), nullable=False),
        sa.Column("pixelsteps", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "model"),
    )
    op.create_table(
        "statistics_open_job",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("pixelsteps", sa.BigInteger(), nullable=False),
        sa.Column("batched_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.create_table(
        "statistics_total",
        sa.Column("model", _NAME, nullable=False),
        sa.Column("images", sa.BigInteger(), nullable=False),
        sa.Column("pixelsteps", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("model"),
    )
    op.create_table(
        "view_position",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "worker_open_job",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("pixelsteps", sa.BigInteger(), nullable=False),
        sa.Column("batched_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.create_table(
        "worker_presence",
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("capabilities", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("worker_id"),
    )
    op.create_index(op.f("ix_worker_presence_seen_at"), "worker_presence", ["seen_at"])
    op.create_table(
        "worker_record",
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("capabilities", sa.Text(), nullable=False),
        sa.Column("maintenance", sa.Boolean(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.Column("uncompleted_jobs", sa.Integer(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("pixelsteps", sa.BigInteger(), nullable=False),
        sa.Column("kudos", sa.Double(), nullable=False),
        sa.Column("speed", sa.Double(), nullable=True),
        sa.Column("last_job_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("worker_id"),
    )


def downgrade() -> None:
    """Drop the tables; the log can fill them again."""
    for table in _TABLES:
        op.drop_table(table)


_TABLES = (
    "backlog_block",
    "backlog_counter",
    "backlog_lane",
    "backlog_request",
    "model_open_job",
    "model_record",
    "model_request",
    "request_generation",
    "request_open_job",
    "request_status",
    "statistics_hour",
    "statistics_open_job",
    "statistics_total",
    "view_position",
    "worker_open_job",
    "worker_presence",
    "worker_record",
)
