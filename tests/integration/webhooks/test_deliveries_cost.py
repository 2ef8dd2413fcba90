"""However much is due at webhooks, a claim, a result and a look read a handful of rows."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from infrastructure.bootstrap import Hoard
from infrastructure.settings.environment import Settings
from tests.delivery_world import BROKEN, TAKEN, DeliveryWorld, address, numbered
from tests.prepared import assembled, copy_into_memory
from tests.servers import PostgresServer
from tests.world import ManualClock, SeededRandomSource

HEAP = 10_000
RESTING = [address(100 + place) for place in range(10)]
HERE = address(1)

MOST_ROWS = 150
"""A statement for each of a handful of small answers; reading the heap once is 10,000."""
STEPS_PER_ROW = 100
"""Instructions of SQLite's machine that a row may take, with all that surrounds it."""

_READ = text(
    "SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0) FROM pg_stat_xact_user_tables"
    " WHERE relname IN ('due_delivery', 'webhook_destination', 'delivery_claim')"
)


@contextmanager
def reading_few_rows(connection: Connection) -> Iterator[None]:
    """See that few rows are read in the block, in this transaction.

    PostgreSQL counts the rows that it reads; SQLite has us count the steps of its machine.
    """
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        before = connection.execute(_READ).scalar_one()
        yield
        assert connection.execute(_READ).scalar_one() - before <= MOST_ROWS
        return
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += STEPS_PER_ROW
        return 0

    driver.set_progress_handler(count, STEPS_PER_ROW)
    try:
        yield
    finally:
        driver.set_progress_handler(None, STEPS_PER_ROW)
    assert steps <= MOST_ROWS * STEPS_PER_ROW


@dataclass(frozen=True)
class Heap:
    """A world in which much is due, closed, to be copied."""

    folder: Path
    world: DeliveryWorld
    database: str = ""
    """Its name on PostgreSQL."""


def hoard_in(folder: Path, ledger_url: str | None, clock: ManualClock) -> Hoard:
    """Assemble a Hoard in a folder, on one file there or on the database of a URL."""
    url = ledger_url or f"sqlite:///{folder}/ledger.db"
    return assembled(
        Settings(data=folder, ledger_url=url, views_url=url),
        clock=clock,
        random_source=SeededRandomSource(),
    )


def heap_in(folder: Path, ledger_url: str | None = None) -> DeliveryWorld:
    """Make the heap; return its world, whose databases are closed."""
    clock = ManualClock()
    hoard = hoard_in(folder, ledger_url, clock)
    world = DeliveryWorld(hoard, clock)
    heap_up(world)
    hoard.close()
    return world


@pytest.fixture(scope="module")
def sqlite_heap(tmp_path_factory: pytest.TempPathFactory) -> Heap:
    folder = tmp_path_factory.mktemp("heap")
    return Heap(folder, heap_in(folder))


@pytest.fixture(scope="module")
def postgres_heap(
    postgres_server: PostgresServer,
    postgres_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Heap:
    folder, name = (
        tmp_path_factory.mktemp("heap"),
        postgres_server.create_database(postgres_template),
    )
    return Heap(folder, heap_in(folder, postgres_server.url(name)), name)


@pytest.fixture(params=["memory", "file", "postgres"])
def heaped(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path: Path
) -> Iterator[DeliveryWorld]:
    """A copy of the heap on each kind of database."""
    kind = request.param
    heap: Heap = request.getfixturevalue("postgres_heap" if kind == "postgres" else "sqlite_heap")
    folder = tmp_path / "data"
    shutil.copytree(heap.folder, folder)
    url = {"memory": "sqlite://", "file": None}.get(kind, "")
    if kind == "postgres":
        url = postgres_server.url(postgres_server.create_database(heap.database))
    clock = ManualClock()
    clock.time = heap.world.clock.time
    hoard = hoard_in(folder, url, clock)
    if kind == "memory":
        with closing(sqlite3.connect(folder / "ledger.db")) as file:
            copy_into_memory(file, hoard.storage.ledger_database)
    yield DeliveryWorld(hoard, clock, copy_of=heap.world)
    hoard.close()


def heap_up(told: DeliveryWorld) -> None:
    """Have 10,000 deliveries wait for addresses that rest, most of them behind others."""
    for destination in RESTING:
        told.wear_out(destination)
    for start in range(0, HEAP, 2_000):
        told.schedule(
            *(
                told.planned_delivery(numbered(place // 20), to=RESTING[place % 10])
                for place in range(start, start + 2_000)
            )
        )
    if not told.hoard.storage.ledger_database.is_sqlite:
        with told.hoard.storage.ledger_database.transaction() as connection:
            connection.execute(text("ANALYZE"))


def test_what_rests_costs_nobody_anything(heaped: DeliveryWorld) -> None:
    deliveries, now = heaped.hoard.inline.deliveries, heaped.clock.now()
    database = heaped.hoard.storage.ledger_database
    ids = heaped.schedule(
        *(heaped.planned_delivery(numbered(place), to=HERE) for place in range(2))
    )
    with database.transaction() as connection, reading_few_rows(connection):
        assert heaped.claimed() == ids
    with database.transaction() as connection, reading_few_rows(connection):
        assert heaped.claimed() == []
    with database.transaction() as connection, reading_few_rows(connection):
        assert deliveries.next_look(now) == now + timedelta(seconds=30)
        assert deliveries.health(RESTING[0]).failures == 5
    with database.transaction() as connection, reading_few_rows(connection):
        assert len(deliveries.late(now + timedelta(days=1), 10)) == 10
    with database.transaction() as connection, reading_few_rows(connection):
        heaped.due(numbered(0), to=RESTING[0])
        heaped.due(numbered(10**5), to=RESTING[0])


def test_what_comes_of_a_try_costs_little_however_much_waits_behind_it(
    heaped: DeliveryWorld,
) -> None:
    database = heaped.hoard.storage.ledger_database
    heaped.clock.advance(timedelta(seconds=30))
    with database.transaction() as connection, reading_few_rows(connection):
        answers, fails = heaped.claim(2)
    for claimed, outcome in ((answers, TAKEN), (fails, BROKEN)):
        with database.transaction() as connection, reading_few_rows(connection):
            heaped.tried(claimed.delivery_id, outcome)
    assert heaped.hoard.inline.deliveries.health(answers.destination).proven
    assert heaped.hoard.inline.deliveries.health(fails.destination).failures == 6
    with database.transaction() as connection, reading_few_rows(connection):
        assert len(heaped.claimed()) == 8 + 4
