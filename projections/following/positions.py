"""How far each view, and each reaction, has followed the log."""

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

from projections.sql.rows import insert_unless_there

METADATA = MetaData()
REACTION_METADATA = MetaData()

VIEW_POSITION = Table(
    "view_position",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),
)
"""The last event that a view holds; a view without a row has seen nothing."""

REACTION_POSITION = Table(
    "reaction_position",
    REACTION_METADATA,
    Column("name", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),
)
"""The last event to which a reaction has reacted. What it does are events, so this lies where they
do; the views may be elsewhere, or here."""


class Positions:
    """The positions that one table holds, each under a name."""

    def __init__(self, table: Table) -> None:
        """Use a table of names and positions."""
        self._table = table
        name, position = table.c.name, table.c.position
        self._read = select(position).where(name == bindparam("view"))
        self._read_many = select(name, position).where(name.in_(bindparam("views", expanding=True)))
        self._move = (
            update(table)
            .where(name == bindparam("view"), position == bindparam("old"))
            .values(position=bindparam("new"))
        )
        # Always in the same order, and past what others hold: no follower waits for a view that
        # is being rebuilt, and two that move the same views never wait for each other crosswise.
        free = (
            select(name)
            .where(
                name.in_(bindparam("views", expanding=True)),
                position == bindparam("old"),
            )
            .order_by(name)
            .with_for_update(skip_locked=True)
        )
        self._move_many = (
            update(table)
            .where(name.in_(free), position == bindparam("old"))
            .values(position=bindparam("new"))
            .returning(name)
        )

    def read(self, connection: Connection, view: str) -> int:
        """Return the position of the last event that the view holds, 0 for none."""
        return int(connection.execute(self._read, {"view": view}).scalar() or 0)

    def read_many(self, connection: Connection, views: Sequence[str]) -> dict[str, int]:
        """Return the positions of those of these views that have seen anything."""
        rows = connection.execute(self._read_many, {"views": views})
        return {name: int(position) for name, position in rows}

    def lock(self, connection: Connection, view: str) -> int:
        """Return the view's position, locked until the transaction ends."""
        connection.execute(insert_unless_there(connection, self._table), [_start(view)])
        locked = connection.execute(self._read.with_for_update(), {"view": view})
        return int(locked.scalar_one())

    def move(self, connection: Connection, view: str, *, old: int, new: int) -> bool:
        """Move the view from one position to another and return whether it was still there.

        Two followers that read the same portion cannot both apply it: the second one finds the
        view elsewhere.
        """
        move = {"view": view, "old": old, "new": new}
        if connection.execute(self._move, move).rowcount == 1:
            return True
        if old != 0:
            return False
        connection.execute(insert_unless_there(connection, self._table), [_start(view)])
        return connection.execute(self._move, move).rowcount == 1

    def move_many(
        self, connection: Connection, views: Sequence[str], *, old: int, new: int
    ) -> Collection[str]:
        """Move views from one position to another; return those that were there and were free."""
        move = {"views": views, "old": old, "new": new}
        if old == 0:
            connection.execute(
                insert_unless_there(connection, self._table),
                [_start(view) for view in sorted(views)],
            )
        return set(connection.execute(self._move_many, move).scalars())

    def set(self, connection: Connection, view: str, position: int) -> None:
        """Put a view whose position this transaction has locked at another one."""
        connection.execute(
            update(self._table).where(self._table.c.name == view).values(position=position)
        )


VIEW_POSITIONS = Positions(VIEW_POSITION)
REACTION_POSITIONS = Positions(REACTION_POSITION)


def _start(view: str) -> dict[str, object]:
    return {"name": view, "position": 0}
