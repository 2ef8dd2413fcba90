"""Webhooks: endpoints, what is due there, who sends it, and how far reactions followed the log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision: str | None = "r0004"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make tables for deliveries, of which none exist yet: all are empty."""
    _destinations()
    _due_deliveries()
    _endpoints()
    _claims()
    op.create_table(
        "reaction_position",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
    )


def _destinations() -> None:
    op.create_table(
        "webhook_destination",
        sa.Column("destination", sa.Uuid(), primary_key=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("last_failed_at", sa.BigInteger(), nullable=True),
        sa.Column("proven", sa.Boolean(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("looks_at", sa.BigInteger(), nullable=True),
    )
    _index("looks", "webhook_destination", "proven", "looks_at", where="looks_at IS NOT NULL")


def _due_deliveries() -> None:
    table = "due_delivery"
    op.create_table(
        table,
        sa.Column("delivery_id", sa.Uuid(), primary_key=True),
        sa.Column("destination", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("line", sa.Uuid(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("give_up_at", sa.BigInteger(), nullable=False),
        sa.Column("is_head", sa.Boolean(), nullable=False),
    )
    op.create_index("due_delivery_late", table, ["give_up_at", "place"])
    op.create_index("due_delivery_in_line", table, ["line", "place"])
    _index("head", table, "line", where="is_head", unique=True)
    _index("head_due", table, "destination", "due_at", "place", where="is_head")
    _index("test", table, "destination", "due_at", "place", where="request_id IS NULL")


def _index(name: str, table: str, *columns: str, where: str, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(
        f"{table}_{name}",
        table,
        list(columns),
        unique=unique,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def _endpoints() -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("endpoint_id", sa.Uuid(), primary_key=True),
        sa.Column("account_id", sa.Uuid(), nullable=False, index=True),
        sa.Column("kinds", sa.Text(), nullable=False),
        sa.Column("disabled", sa.String(16), nullable=True),
        sa.Column("registered_at_position", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )


def _claims() -> None:
    op.create_table(
        "delivery_claim",
        sa.Column("delivery_id", sa.Uuid(), primary_key=True),
        sa.Column("destination", sa.Uuid(), nullable=False, index=True),
        sa.Column("until", sa.BigInteger(), nullable=False, index=True),
    )


def downgrade() -> None:
    """Take the tables away; but for claims and how far reactions were, the log can fill them."""
    for table in (
        "reaction_position",
        "delivery_claim",
        "webhook_endpoint",
        "due_delivery",
        "webhook_destination",
    ):
        op.drop_table(table)
