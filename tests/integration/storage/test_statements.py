"""Statements on the driver's own cursor say and give what SQLAlchemy itself would."""

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
    Float,
    MetaData,
    Table,
    Text,
    Uuid,
    bindparam,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from infrastructure.storage.database import Database
from projections.sql.bulk import Bulk
from projections.sql.encoding import Instant
from projections.sql.statements import Statement

THING = Table(
    "thing",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("on", Boolean, nullable=False),
    Column("weight", Float, nullable=False),
    Column("count", BigInteger),
    Column("text", Text),
)
BY_ID = Statement(select(THING).where(THING.c.id == bindparam("wanted")))


def row(number: int, **other: Any) -> dict[str, Any]:
    usual = {
        "id": UUID(int=number),
        "at": datetime(2026, 1, 1, 12, 30, 0, 7, tzinfo=UTC),
        "on": number % 2 == 0,
        "weight": number / 4,
        "count": number << 40,
        "text": f"100 % 'quoted' {number}",
    }
    return usual | other


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    postgres = request.param == "postgres"
    database = Database(request.getfixturevalue("postgres_url") if postgres else "sqlite://")
    with database.transaction() as connection:
        THING.metadata.create_all(connection)
    yield database
    database.close()


def test_every_type_comes_back_as_it_went(database: Database) -> None:
    things = [row(1), row(2, count=None, text=None), row(3, text="")]
    with database.transaction() as connection:
        Bulk(THING).insert(connection, things)
        assert [BY_ID.first(connection, {"wanted": each["id"]}) for each in things] == things
        assert [dict(each) for each in connection.execute(select(THING)).mappings()] == things


def test_many_rows_go_in_portions(database: Database) -> None:
    things = [row(number) for number in range(45)]
    with database.transaction() as connection:
        Bulk(THING).insert(connection, things)
        Bulk(THING).insert(connection, [])
        everything = Statement(select(THING).order_by(THING.c.id))
        assert everything.rows(connection, {}) == [tuple(each.values()) for each in things]


def test_nothing_found_is_none(database: Database) -> None:
    with database.reading() as connection:
        assert BY_ID.first(connection, {"wanted": UUID(int=9)}) is None
        assert list(BY_ID.rows(connection, {"wanted": UUID(int=9)})) == []


def test_an_update_may_hold_values_of_its_own(database: Database) -> None:
    heavier = Statement(
        update(THING)
        .where(THING.c.id == bindparam("wanted"))
        .values(weight=THING.c.weight + bindparam("more"), text="heavier")
    )
    with database.transaction() as connection:
        Bulk(THING).insert(connection, [row(1), row(2)])
        heavier.run(connection, {"wanted": UUID(int=2), "more": 1.5})
        assert BY_ID.first(connection, {"wanted": UUID(int=2)}) == row(
            2, weight=2.0, text="heavier"
        )
        assert BY_ID.first(connection, {"wanted": UUID(int=1)}) == row(1)


def test_errors_are_those_of_sqlalchemy(database: Database) -> None:
    with pytest.raises(IntegrityError), database.transaction() as connection:
        Bulk(THING).insert(connection, [row(1), row(1)])
    with pytest.raises(DBAPIError) as caught, database.transaction() as connection:
        Bulk(THING).insert(connection, [row(1, text="secret", at=None)])
    assert "secret" not in str(caught.value).replace(str(caught.value.orig), "")
