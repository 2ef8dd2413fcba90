"""A log restored in another cluster goes on above its last event."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import text

from infrastructure.storage.database import Database
from infrastructure.storage.event_store import EventRecorder
from infrastructure.storage.schema import migrate_ledger
from tests.integration.storage.event_stores import (
    PATIENCE_SECONDS,
    Follower,
    Store,
    event,
    read_all,
)
from tests.servers import PostgresServer


@pytest.fixture
def younger_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


def test_a_restored_dump_goes_on_above_its_last_event(
    postgres_server: PostgresServer, younger_server: PostgresServer
) -> None:
    name = postgres_server.create_database()
    with postgres_server.connect(name) as connection:
        connection.execute(
            "DO $$ BEGIN FOR i IN 1..3000 LOOP"
            " PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
        )
    stream = uuid4()
    old = Database(postgres_server.url(name))
    migrate_ledger(old)
    EventRecorder(old).insert_events([event(stream, 1), event(stream, 2)])
    old.close()

    restored = younger_server.create_database()
    dump = postgres_server.run("pg_dump", name)
    younger_server.run("psql", "-q", "-v", "ON_ERROR_STOP=1", restored, given=dump)
    postgres_server.drop_database(name)

    new = Database(younger_server.url(restored))
    recorder = EventRecorder(new)
    assert read_all(recorder) == []
    migrate_ledger(new)
    follower = Follower(recorder)
    follower.catch_up()
    assert [n.originator_version for n in follower.seen] == [1, 2]
    recorder.insert_events([event(stream, 3)])
    follower.catch_up()
    assert [n.originator_version for n in follower.seen] == [1, 2, 3]
    base = text("SELECT base FROM log_epoch")
    with new.reading() as connection2:
        raised = connection2.execute(base).scalar_one()
    assert raised > 0
    migrate_ledger(new)
    with new.reading() as connection2:
        assert connection2.execute(base).scalar_one() == raised
    new.close()


def test_starting_beside_an_open_transaction_leaves_the_base_alone(postgres_store: Store) -> None:
    with postgres_store.database.transaction() as oldest:
        oldest.execute(text("SELECT pg_current_xact_id()"))
        with ThreadPoolExecutor(1) as pool:
            save = pool.submit(postgres_store.recorder().insert_events, [event(uuid4())])
            save.result(PATIENCE_SECONDS)
            pool.submit(migrate_ledger, postgres_store.database).result(PATIENCE_SECONDS)
    with postgres_store.database.reading() as connection:
        assert connection.execute(text("SELECT base FROM log_epoch")).scalar_one() == 0
