"""Accounts with numbers, roles and limits, shared keys, and workers with more to say."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision: str | None = "r0002"
branch_labels: str | None = None
depends_on: str | None = None

_LATER_ROLES = ("admin", "service", "customizer", "special", "education", "vpn", "flagged")
_UNNUMBERED = 1_000_000_000
_NOBODY = "00000000000000000000000000000000"


def upgrade() -> None:
    """Widen the directory and the queue; what is new of old rows follows from the log."""
    _accounts()
    _shared_keys()
    _workers()
    _queue()
    _modes()
    _uploads()
    _repeated_commands()
    _kudos()
    _worker_messages()
    _address_timeouts()


def _accounts() -> None:
    with op.batch_alter_table("account") as account:
        account.add_column(sa.Column("number", sa.BigInteger(), nullable=True))
        for role in _LATER_ROLES:
            account.add_column(_false(role))
        account.add_column(sa.Column("concurrency", sa.Integer(), nullable=True))
        account.add_column(
            sa.Column("worker_invited", sa.Integer(), nullable=False, server_default=sa.text("0"))
        )
        account.add_column(_false("public_workers"))
        account.add_column(_false("deleted"))
        account.add_column(
            sa.Column("opened_at", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
        )
        account.add_column(sa.Column("contact", sa.Text(), nullable=True))
        account.add_column(sa.Column("comment", sa.Text(), nullable=True))
    connection = op.get_bind()
    table = sa.table("account", sa.column("key_digest"), sa.column("number"))
    for (digest,) in connection.execute(sa.select(table.c.key_digest)).all():
        numbered = table.update().where(table.c.key_digest == digest)
        connection.execute(numbered.values(number=_UNNUMBERED + int(digest[:7], 16)))
    with op.batch_alter_table("account") as account:
        account.alter_column("number", existing_type=sa.BigInteger(), nullable=False)
        account.create_unique_constraint("account_number_key", ["number"])
        for column in (*_LATER_ROLES, "public_workers", "deleted"):
            account.alter_column(column, existing_type=sa.Boolean(), server_default=None)
        account.alter_column("worker_invited", existing_type=sa.Integer(), server_default=None)
        account.alter_column("opened_at", existing_type=sa.BigInteger(), server_default=None)


def _shared_keys() -> None:
    op.create_table(
        "shared_key",
        sa.Column("shared_key_id", sa.Uuid(), primary_key=True),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_digest", sa.String(64), nullable=False, unique=True),
        sa.Column("kudos", sa.BigInteger(), nullable=True),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("max_image_pixels", sa.Integer(), nullable=True),
        sa.Column("max_image_steps", sa.Integer(), nullable=True),
    )
    op.create_index("ix_shared_key_owner_id", "shared_key", ["owner_id"])


def _workers() -> None:
    with op.batch_alter_table("worker") as worker:
        worker.add_column(
            sa.Column("kind", sa.Text(), nullable=False, server_default=sa.text("'remote'"))
        )
        worker.add_column(
            sa.Column("maintenance_message", sa.Text(), nullable=False, server_default="")
        )
        worker.add_column(_false("flagged"))
        worker.add_column(sa.Column("info", sa.Text(), nullable=False, server_default=""))
    op.execute(
        "UPDATE worker SET kind = 'in_cluster' "
        'WHERE capabilities LIKE \'%"bridge_agent":"Hoard in-cluster:%\''
    )
    with op.batch_alter_table("worker") as worker:
        for column in ("kind", "maintenance_message", "info"):
            worker.alter_column(column, existing_type=sa.Text(), server_default=None)
        worker.alter_column("flagged", existing_type=sa.Boolean(), server_default=None)


def _queue() -> None:
    waits = sa.text("remaining > 0")
    # On SQLite the table is made anew, and with it its indexes, which would lose their order.
    op.drop_index("open_request_waiting", "open_request")
    op.drop_index("open_request_idle", "open_request")
    with op.batch_alter_table("open_request") as open_request:
        open_request.add_column(
            sa.Column("account_id", sa.Uuid(), nullable=False, server_default=_NOBODY)
        )
    with op.batch_alter_table("open_request") as open_request:
        open_request.alter_column("account_id", existing_type=sa.Uuid(), server_default=None)
    _queue_indexes()
    op.create_index(
        "open_request_of_account",
        "open_request",
        ["account_id", "lane", sa.text("priority DESC"), "place"],
        sqlite_where=waits,
        postgresql_where=waits,
    )


def _queue_indexes() -> None:
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


def _modes() -> None:
    op.create_table(
        "horde_modes",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("maintenance", sa.Boolean(), nullable=False),
        sa.Column("invite_only", sa.Boolean(), nullable=False),
        sa.Column("raid", sa.Boolean(), nullable=False),
    )


def _kudos() -> None:
    figures = ("earned", "burnt", "sent", "received", "awarded", "held")
    op.create_table(
        "kudos_balance",
        sa.Column("holder_id", sa.Uuid(), primary_key=True),
        *(sa.Column(figure, sa.BigInteger(), nullable=False) for figure in figures),
    )
    op.create_table(
        "kudos_entry",
        sa.Column("holder_id", sa.Uuid(), primary_key=True),
        sa.Column("position", sa.BigInteger(), primary_key=True, autoincrement=False),
        *(sa.Column(figure, sa.BigInteger(), nullable=False) for figure in figures),
    )
    op.create_table(
        "kudos_sent",
        sa.Column("sender_id", sa.Uuid(), primary_key=True),
        sa.Column("receiver_id", sa.Uuid(), primary_key=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
    )
    op.execute(
        f"INSERT INTO kudos_balance (holder_id, {', '.join(figures)}) "
        "SELECT account_id, 0, 0, 0, 0, 0, 0 FROM account"
    )
    if op.get_context().dialect.name == "postgresql":
        # Entries live until the next sweep: let vacuum come before dead ones slow sums down.
        op.execute(
            "ALTER TABLE kudos_entry SET (autovacuum_vacuum_scale_factor = 0.01, "
            "autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0)"
        )


def _uploads() -> None:
    op.create_table(
        "uploaded_image",
        sa.Column("image_id", sa.Uuid(), primary_key=True),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )


def _worker_messages() -> None:
    op.create_table(
        "worker_message",
        sa.Column("message_id", sa.Uuid(), primary_key=True),
        sa.Column("worker_id", sa.Uuid(), nullable=True),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
    )
    for column in ("worker_id", "ends_at"):
        op.create_index(f"ix_worker_message_{column}", "worker_message", [column])


def _address_timeouts() -> None:
    op.create_table(
        "address_timeout",
        sa.Column("address", sa.String(50), primary_key=True),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_address_timeout_ends_at", "address_timeout", ["ends_at"])


def _repeated_commands() -> None:
    op.create_table(
        "repeated_command",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("kudos", sa.Double(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False, index=True),
    )


def _false(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())


def downgrade() -> None:
    """Take the new columns away; the log can fill them again."""
    for table in ("address_timeout", "worker_message"):
        op.drop_table(table)
    for table in ("kudos_sent", "kudos_entry", "kudos_balance"):
        op.drop_table(table)
    op.drop_table("repeated_command")
    op.drop_table("uploaded_image")
    op.drop_table("horde_modes")
    for index in ("open_request_of_account", "open_request_waiting", "open_request_idle"):
        op.drop_index(index, "open_request")
    with op.batch_alter_table("open_request") as open_request:
        open_request.drop_column("account_id")
    _queue_indexes()
    with op.batch_alter_table("worker") as worker:
        for column in ("kind", "maintenance_message", "flagged", "info"):
            worker.drop_column(column)
    op.drop_table("shared_key")
    with op.batch_alter_table("account") as account:
        account.drop_constraint("account_number_key", type_="unique")
        for column in (
            "number",
            *_LATER_ROLES,
            "concurrency",
            "worker_invited",
            "public_workers",
            "deleted",
            "opened_at",
            "contact",
            "comment",
        ):
            account.drop_column(column)
