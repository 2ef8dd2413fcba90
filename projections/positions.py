"""How far each view has followed the log."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    MetaData,
    String,
    Table,
    bindparam,
    select,
    update,
)

from projections.rows import insert_unless_there

METADATA = MetaData()

VIEW_POSITION = Table(
    "view_position",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),
)
"""The last event that a view holds; a view without a row has seen nothing."""

_READ = select(VIEW_POSITION.c.position).where(VIEW_POSITION.c.name == bindparam("view"))
_READ_MANY = select(VIEW_POSITION.c.name, VIEW_POSITION.c.position).where(
    VIEW_POSITION.c.name.in_(bindparam("views", expanding=True))
)
_MOVE = (
    update(VIEW_POSITION)
    .where(VIEW_POSITION.c.name == bindparam("view"), VIEW_POSITION.c.position == bindparam("old"))
    .values(position=bindparam("new"))
)
# Always in the same order, and past what somebody else holds: nobody waits for a view that is
# being rebuilt, and two who move the same views never wait for each other crosswise.
_free = (
    select(VIEW_POSITION.c.name)
    .where(
        VIEW_POSITION.c.name.in_(bindparam("views", expanding=True)),
        VIEW_POSITION.c.position == bindparam("old"),
    )
    .order_by(VIEW_POSITION.c.name)
    .with_for_update(skip_locked=True)
)
_MOVE_MANY = (
    update(VIEW_POSITION)
    .where(VIEW_POSITION.c.name.in_(_free), VIEW_POSITION.c.position == bindparam("old"))
    .values(position=bindparam("new"))
    .returning(VIEW_POSITION.c.name)
)


def read_position(connection: Connection, view: str) -> int:
    """Return the position of the last event that the view holds, 0 for none."""
    return int(connection.execute(_READ, {"view": view}).scalar() or 0)


def read_positions(connection: Connection, views: Sequence[str]) -> dict[str, int]:
    """Return the positions of those of these views that have seen anything."""
    rows = connection.execute(_READ_MANY, {"views": views})
    return {name: int(position) for name, position in rows}


def lock_position(connection: Connection, view: str) -> int:
    """Return the view's position, which nobody else can move until the transaction ends."""
    connection.execute(insert_unless_there(connection, VIEW_POSITION), [_start(view)])
    return int(connection.execute(_READ.with_for_update(), {"view": view}).scalar_one())


def move_position(connection: Connection, view: str, *, old: int, new: int) -> bool:
    """Move the view from one position to another and return whether it was still there.

    Two followers that read the same portion cannot both apply it: the second one finds the view
    elsewhere.
    """
    move = {"view": view, "old": old, "new": new}
    if connection.execute(_MOVE, move).rowcount == 1:
        return True
    if old != 0:
        return False
    connection.execute(insert_unless_there(connection, VIEW_POSITION), [_start(view)])
    return connection.execute(_MOVE, move).rowcount == 1


def move_positions(
    connection: Connection, views: Sequence[str], *, old: int, new: int
) -> Collection[str]:
    """Move views from one position to another; return those that were there and that were free."""
    move = {"views": views, "old": old, "new": new}
    if old == 0:
        connection.execute(
            insert_unless_there(connection, VIEW_POSITION), [_start(view) for view in sorted(views)]
        )
    return set(connection.execute(_MOVE_MANY, move).scalars())


def set_position(connection: Connection, view: str, position: int) -> None:
    """Put a view whose position this transaction has locked at another one."""
    connection.execute(
        update(VIEW_POSITION).where(VIEW_POSITION.c.name == view).values(position=position)
    )


def _start(view: str) -> dict[str, object]:
    return {"name": view, "position": 0}
