"""The log, the base of its positions, and the keys of personal fields."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create ``event``, ``log_epoch`` and ``personal_key``."""
    sqlite = op.get_context().dialect.name == "sqlite"
    op.create_table(
        "event",
        sa.Column(
            "position",
            sa.Integer() if sqlite else sa.BigInteger(),
            primary_key=True,
            autoincrement=sqlite,
        ),
        sa.Column("originator_id", sa.Uuid(), nullable=False),
        sa.Column("originator_version", sa.Integer(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("originator_id", "originator_version", name="event_stream_version"),
        # Row ids of events that were lost with a crash must not come back as other events.
        sqlite_autoincrement=True,
    )
    epoch = op.create_table(
        "log_epoch",
        sa.Column("id", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("base", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name="log_epoch_one_row"),
    )
    op.bulk_insert(epoch, [{"id": 1, "base": 0}])
    op.create_table(
        "personal_key",
        sa.Column("subject", sa.Uuid(), primary_key=True),
        sa.Column("key", sa.LargeBinary(), nullable=False),
    )


def downgrade() -> None:
    """Drop the three tables, and with them all history."""
    op.drop_table("personal_key")
    op.drop_table("log_epoch")
    op.drop_table("event")
