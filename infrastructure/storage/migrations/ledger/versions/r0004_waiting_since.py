"""Since when each request waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import sqlalchemy as sa
from alembic import op

revision = "r0004"
down_revision: str | None = "r0003"
branch_labels: str | None = None
depends_on: str | None = None

_PORTION = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def upgrade() -> None:
    """Add ``waiting_since`` to the queue, from the first event of each request."""
    # The default stays: programs that do not know the column yet may go on submitting.
    op.add_column(
        "open_request",
        sa.Column("waiting_since", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    )
    connection = op.get_bind()
    uuid = sa.Uuid()
    open_request = sa.table(
        "open_request", sa.column("request_id", uuid), sa.column("waiting_since")
    )
    event = sa.table(
        "event",
        sa.column("originator_id", uuid),
        sa.column("originator_version"),
        sa.column("state"),
    )
    fill = (
        sa.update(open_request)
        .where(open_request.c.request_id == sa.bindparam("id", type_=uuid))
        .values(waiting_since=sa.bindparam("since"))
    )
    request_ids = connection.execute(sa.select(open_request.c.request_id)).scalars().all()
    for start in range(0, len(request_ids), _PORTION):
        first_events = sa.select(event.c.originator_id, event.c.state).where(
            event.c.originator_id.in_(request_ids[start : start + _PORTION]),
            event.c.originator_version == 1,
        )
        rows = [
            {"id": request_id, "since": _submitted_at(bytes(state))}
            for request_id, state in connection.execute(first_events)
        ]
        if rows:
            connection.execute(fill, rows)


def _submitted_at(state: bytes) -> int:
    moment = datetime.fromisoformat(orjson.loads(state)["timestamp"])
    return (moment - _EPOCH) // timedelta(microseconds=1)


def downgrade() -> None:
    """Take the column away; the log can fill it again."""
    op.drop_column("open_request", "waiting_since")
