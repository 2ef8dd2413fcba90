"""Every webhook delivery, as its view lists them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision: str | None = "r0002"
branch_labels: str | None = None
depends_on: str | None = None

_TABLE = "webhook_delivery"


def upgrade() -> None:
    """Create the view's table; its follower fills it from event one."""
    op.create_table(
        _TABLE,
        sa.Column("delivery_id", sa.Uuid(), primary_key=True),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("about", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("endpoint_id", sa.Uuid(), nullable=True),
        sa.Column("destination", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("scheduled_at", sa.BigInteger(), nullable=False),
        sa.Column("happened_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("give_up_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_problem", sa.String(16), nullable=True),
        sa.Column("last_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("last_seconds", sa.Double(), nullable=True),
        sa.Column("given_up_because", sa.String(16), nullable=True),
        sa.Column("given_up_at", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_webhook_delivery_request_id", _TABLE, ["request_id"])
    newest = ("state", "scheduled_at", "position")
    op.create_index("webhook_delivery_by_state", _TABLE, list(newest))
    op.create_index("webhook_delivery_of_account", _TABLE, ["account_id", *newest])
    _partial_index("of_endpoint", "endpoint_id", *newest, where="endpoint_id IS NOT NULL")
    given_up = "given_up_at IS NOT NULL"
    _partial_index("given_up", "given_up_at", "position", where=given_up)
    _partial_index("given_up_of_account", "account_id", "given_up_at", "position", where=given_up)


def _partial_index(name: str, *columns: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(
        f"{_TABLE}_{name}",
        _TABLE,
        list(columns),
        sqlite_where=condition,
        postgresql_where=condition,
    )


def downgrade() -> None:
    """Drop it; the log can fill it again."""
    op.drop_table(_TABLE)
    op.execute("DELETE FROM view_position WHERE name = 'webhooks'")
