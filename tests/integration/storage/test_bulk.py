"""Rows in bulk: what is written comes back the same, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    select,
)

from projections.sql.bulk import Bulk
from projections.sql.encoding import Instant, Name
from tests.view_world import ViewWorld

METADATA = MetaData()
THING = Table(
    "thing",
    METADATA,
    Column("thing_id", Uuid, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("name", Name, nullable=False),
    Column("words", Text),
    Column("speed", Double),
    Column("seen_at", Instant),
)
COUNTER = Table(
    "counter",
    METADATA,
    Column("hour", Instant, primary_key=True),
    Column("model", Name, primary_key=True),
    Column("images", Integer, nullable=False),
    Column("steps", BigInteger, nullable=False),
)
MOMENT = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
AWKWARD = 'it\'s "a" \\ %s ? {} \n é 日本 🎈'

things, counters = Bulk(THING), Bulk(COUNTER)


@pytest.fixture
def connection(world: ViewWorld) -> Iterator[Connection]:
    with world.hoard.storage.view_database.transaction() as connection:
        METADATA.create_all(connection)
        yield connection


def thing(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "thing_id": UUID(int=number),
        "position": number,
        "open": True,
        "name": "A",
        "words": None,
        "speed": None,
        "seen_at": None,
    } | fields


def stored(connection: Connection, table: Table) -> list[dict[str, Any]]:
    rows = connection.execute(select(table).order_by(*table.primary_key.columns))
    return [row._asdict() for row in rows]


@pytest.mark.parametrize(
    "fields",
    [
        {"position": -(2**63)},
        {"position": 2**63 - 1},
        {"open": False},
        {"name": AWKWARD},
        {"words": AWKWARD},
        {"words": '{"models":["\\u0000"]}'},
        {"seen_at": MOMENT},
        *({"speed": speed} for speed in (0.1 + 0.2, -1e-7, 3.0, 5e-324, 1.7976931348623157e308)),
    ],
    ids=repr,
)
def test_each_value_is_stored_as_sqlalchemy_stores_it(
    connection: Connection, fields: dict[str, Any]
) -> None:
    row = thing(1, **fields)
    things.insert(connection, [row])
    assert repr(stored(connection, THING)) == repr([row])
    assert repr(things.by_key(connection, [UUID(int=1)])) == repr([row])


def test_a_name_is_kept_as_far_as_it_can_be(connection: Connection) -> None:
    things.put(connection, [thing(1, name="a\0b\ud800" + "c" * 300)])
    (row,) = things.by_key(connection, [UUID(int=1)])
    assert row["name"] == "ab?" + "c" * 252


def test_rows_are_put_in_the_place_of_those_with_their_keys(connection: Connection) -> None:
    things.insert(connection, [thing(1), thing(2)])
    things.put(connection, [thing(2, name="B", open=False), thing(3)])
    assert stored(connection, THING) == [thing(1), thing(2, name="B", open=False), thing(3)]


def test_only_the_rows_that_are_named_are_read_and_deleted(connection: Connection) -> None:
    things.insert(connection, [thing(number) for number in range(1200)])
    wanted = [UUID(int=number) for number in (0, 7, 1199, 5000)]
    assert {row["position"] for row in things.by_key(connection, wanted)} == {0, 7, 1199}
    things.delete(connection, wanted)
    assert len(stored(connection, THING)) == 1197
    assert things.by_key(connection, wanted) == []


def test_counters_add_up_and_empty_ones_are_not_kept(connection: Connection) -> None:
    counters.add(connection, {(MOMENT, "A"): (2, 20), (MOMENT, "B"): (1, 7), (MOMENT, "C"): (0, 0)})
    counters.add(connection, {(MOMENT, "A"): (-1, -5), (MOMENT, "B"): (-1, -7)})
    left = {"hour": MOMENT, "model": "A", "images": 1, "steps": 15}
    assert stored(connection, COUNTER) == [left]


def test_nothing_to_write_is_no_error(connection: Connection) -> None:
    things.insert(connection, [])
    things.put(connection, [])
    things.delete(connection, [])
    counters.add(connection, {})
    assert things.by_key(connection, []) == []
    assert stored(connection, THING) == stored(connection, COUNTER) == []
