"""The statements of the event table, one dialect each.

They are driver-level SQL with a fixed text each, whatever the number of events or streams, so that
both drivers keep them prepared: building them anew costs more than running them.

Every statement that yields events yields ``position, originator_id, originator_version, topic,
state`` in this order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

ORDINAL_BITS = 16
"""A PostgreSQL position is ``(transaction id + base) << 16 | ordinal``."""

MAX_ORDINALS = 1 << ORDINAL_BITS
"""Most events in one transaction on PostgreSQL."""

MAX_POSITION = (1 << 63) - 1

_COLUMNS = "position, originator_id, originator_version, topic, state"
_EVENT_COLUMNS = "e.position, e.originator_id, e.originator_version, e.topic, e.state"


class EventSql(Protocol):
    """What the recorder asks of a dialect."""

    @property
    def horizon(self) -> str:
        """One row, one column: the position below which the log is final."""

    @property
    def last_final(self) -> str:
        """One row, one column: the last position below the horizon, or NULL."""

    def stream(self, *, descending: bool) -> str:
        """Events of one stream; parameters: id, above version, up to version, limit."""

    def page(self, *, final_only: bool, topics: int) -> str:
        """Events of the log; parameters: from position, up to position, topics, limit."""

    def page_parameters(
        self, first: int, last: int, topics: Sequence[str], limit: int
    ) -> tuple[Any, ...]:
        """The parameters of :meth:`page`."""

    @property
    def tails(self) -> str:
        """Events of several streams, each above a version, in log order."""

    def tails_parameters(self, tails: Mapping[UUID, int]) -> tuple[Any, ...]:
        """The parameters of :attr:`tails`."""

    def stored_id(self, originator_id: UUID) -> Any:
        """A stream's id as a parameter."""

    def loaded_id(self, value: Any) -> UUID:
        """A stream's id from a row."""


@dataclass(frozen=True)
class SqliteSql:
    """SQLite: ids are 32 hex digits, as SQLAlchemy's ``Uuid`` stores them."""

    insert: str = (
        "INSERT INTO event (originator_id, originator_version, topic, state) VALUES (?, ?, ?, ?)"
    )
    # One writer at a time, so what is committed is final and ids are in commit order.
    horizon: str = "SELECT coalesce(max(position), 0) + 1 FROM event"
    last_final: str = "SELECT max(position) FROM event"
    tails: str = (
        f"SELECT {_EVENT_COLUMNS} FROM json_each(?) AS t CROSS JOIN event AS e"
        " ON e.originator_id = t.key AND e.originator_version > t.value ORDER BY e.position"
    )

    def stream(self, *, descending: bool) -> str:
        order = "DESC" if descending else "ASC"
        return (
            f"SELECT {_COLUMNS} FROM event WHERE originator_id = ? AND originator_version > ?"
            f" AND originator_version <= ? ORDER BY originator_version {order} LIMIT ?"
        )

    def page(self, *, final_only: bool, topics: int) -> str:
        chosen = f" AND topic IN ({', '.join('?' * topics)})" if topics else ""
        return (
            f"SELECT {_COLUMNS} FROM event WHERE position >= ? AND position <= ?{chosen}"
            " ORDER BY position LIMIT ?"
        )

    def page_parameters(
        self, first: int, last: int, topics: Sequence[str], limit: int
    ) -> tuple[Any, ...]:
        return (first, last, *topics, limit)

    def tails_parameters(self, tails: Mapping[UUID, int]) -> tuple[Any, ...]:
        return (json.dumps({stream.hex: version for stream, version in tails.items()}),)

    def stored_id(self, originator_id: UUID) -> str:
        return originator_id.hex

    def loaded_id(self, value: Any) -> UUID:
        return UUID(value)


_BASE = "(SELECT base FROM log_epoch)"
_HORIZON = f"((pg_snapshot_xmin(pg_current_snapshot())::text::bigint + {_BASE}) << {ORDINAL_BITS})"


@dataclass(frozen=True)
class PostgresSql:
    """PostgreSQL: a position holds its transaction's id (see ``event_store.py``).

    Parameters of ``insert``: first the ordinal that its transaction has reached, then stream id,
    version, topic, state and ordinal (from 0) of each event, then id and version of the event that
    precedes the first new one of each continued stream. It yields the positions, or no row at all
    when one of those preceding events has a position that is not below.
    """

    def insert(self, *, events: int, continued: int) -> str:
        """Append ``events`` events, ``continued`` of whose streams have older ones.

        A row of values for each event runs three times as fast as arrays that are unnested.
        """
        rows = ", ".join(["(%b::uuid, %b::integer, %b::text, %b::bytea, %b::integer)"] * events)
        in_order = " AND ".join(
            [
                "coalesce((SELECT e.position FROM event AS e WHERE e.originator_id = %b::uuid"
                " AND e.originator_version = %b::integer) < start.first, true)"
            ]
            * continued
        )
        return (
            "WITH start AS MATERIALIZED ("
            f" SELECT ((pg_current_xact_id()::text::bigint + {_BASE}) << {ORDINAL_BITS})"
            " + %b::integer AS first)"
            f" INSERT INTO event ({_COLUMNS})"
            " SELECT start.first + g.ordinal, g.id, g.version, g.topic, g.state"
            f" FROM start, (VALUES {rows}) AS g (id, version, topic, state, ordinal)"
            f"{f' WHERE {in_order}' if continued else ''} RETURNING position"
        )

    horizon: str = f"SELECT {_HORIZON}"
    last_final: str = f"SELECT max(position) FROM event WHERE position < (SELECT {_HORIZON})"
    tails: str = (
        f"SELECT {_EVENT_COLUMNS} FROM unnest(%s::uuid[], %s::integer[]) AS t (id, version)"
        f" CROSS JOIN LATERAL (SELECT {_COLUMNS} FROM event WHERE originator_id = t.id"
        " AND originator_version > t.version OFFSET 0) AS e ORDER BY e.position"
    )

    def stream(self, *, descending: bool) -> str:
        order = "DESC" if descending else "ASC"
        return (
            f"SELECT {_COLUMNS} FROM event WHERE originator_id = %s AND originator_version > %s"
            f" AND originator_version <= %s ORDER BY originator_version {order} LIMIT %s"
        )

    def page(self, *, final_only: bool, topics: int) -> str:
        # The horizon and the rows come from one statement and so from one snapshot.
        final = f" AND position < (SELECT {_HORIZON})" if final_only else ""
        chosen = " AND topic = ANY(%s)" if topics else ""
        return (
            f"SELECT {_COLUMNS} FROM event WHERE position >= %s::bigint AND position <= %s::bigint"
            f"{final}{chosen} ORDER BY position LIMIT %s"
        )

    def page_parameters(
        self, first: int, last: int, topics: Sequence[str], limit: int
    ) -> tuple[Any, ...]:
        return (first, last, list(topics), limit) if topics else (first, last, limit)

    def tails_parameters(self, tails: Mapping[UUID, int]) -> tuple[Any, ...]:
        return (list(tails.keys()), list(tails.values()))

    def stored_id(self, originator_id: UUID) -> UUID:
        return originator_id

    def loaded_id(self, value: Any) -> UUID:
        assert isinstance(value, UUID)
        return value
