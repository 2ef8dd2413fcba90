"""The migrations make exactly the tables that the views declare, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, inspect, text

from infrastructure.models import lora_versions as lora_table
from infrastructure.requests import idempotency
from infrastructure.service import timeouts
from infrastructure.storage.database import Database
from infrastructure.storage.schema import migrate_ledger, migrate_views
from infrastructure.webhooks import claims as delivery_claims
from infrastructure.workers import messages
from projections.directory import tables as directory
from projections.following import positions
from projections.kudos import tables as kudos
from projections.queue import lanes
from projections.queue import tables as queue
from projections.registry import FOLLOWER_METADATA
from projections.service import modes
from projections.webhooks.due import tables as deliveries

NOT_VIEWS = {
    "event",
    "log_epoch",
    "personal_key",
    "uploaded_image",
    "ledger_schema_version",
    "views_schema_version",
}


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    url = "sqlite://" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    database = Database(url)
    yield database
    database.close()


def _declared() -> MetaData:
    declared = MetaData()
    for metadata in (
        queue.METADATA,
        lanes.METADATA,
        directory.METADATA,
        kudos.METADATA,
        idempotency.METADATA,
        messages.METADATA,
        timeouts.METADATA,
        modes.METADATA,
        deliveries.METADATA,
        delivery_claims.METADATA,
        lora_table.METADATA,
        positions.REACTION_METADATA,
        *FOLLOWER_METADATA,
    ):
        for table in metadata.tables.values():
            table.to_metadata(declared)
    return declared


def _tables_of(database: Database) -> dict[str, list[str]]:
    """Return the tables that there are, each with what its columns and indexes are called."""
    with database.reading() as connection:
        inspector = inspect(connection)
        return {
            table: [column["name"] for column in inspector.get_columns(table)]
            + sorted(str(index["name"]) for index in inspector.get_indexes(table))
            for table in inspector.get_table_names()
        }


def test_the_tables_are_what_the_views_declare(database: Database) -> None:
    migrate_ledger(database)
    migrate_views(database)

    def is_a_views(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "table" or name not in NOT_VIEWS

    options = {"compare_type": True, "include_name": is_a_views}
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, _declared()) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    migrate_ledger(database)
    migrate_views(database)
    made = _tables_of(database)
    assert {"event", "ledger_schema_version", "views_schema_version"} <= made.keys()
    with database.transaction() as connection:
        connection.execute(text("UPDATE log_epoch SET base = 7"))

    migrate_ledger(database)
    migrate_views(database)

    assert _tables_of(database) == made
    with database.reading() as connection:
        assert connection.execute(text("SELECT base FROM log_epoch")).scalars().all() == [7]


@pytest.mark.parametrize("index", ["open_request_waiting", "open_request_of_account"])
def test_the_queue_is_found_in_its_order(index: str, database: Database) -> None:
    """A table that is made anew on SQLite must not lose the order of its indexes."""
    migrate_ledger(database)
    definitions = (
        "SELECT sql FROM sqlite_master WHERE name = :index"
        if database.is_sqlite
        else "SELECT indexdef FROM pg_indexes WHERE indexname = :index"
    )
    with database.reading() as connection:
        definition = connection.execute(text(definitions), {"index": index}).scalar_one()
    assert "priority DESC, place" in definition
