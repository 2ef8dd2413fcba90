"""What waits when Hoard is brought up to date still waits, and since when is known."""

from __future__ import annotations

from datetime import timedelta

from alembic import command
from alembic.config import Config
from sqlalchemy import select

from domain.jobs.queue import LONG_AGO
from infrastructure.storage.database import Database
from infrastructure.storage.schema import migrate_ledger
from projections.following.rebuild import verify
from projections.queue.tables import OPEN_REQUEST
from projections.view import View
from tests.paths import ROOT
from tests.view_world import ViewWorld

LEDGER = ROOT / "infrastructure" / "storage" / "migrations" / "ledger"


def back_to(revision: str, database: Database) -> None:
    """Take the ledger's tables back to what they were."""
    config = Config()
    config.set_main_option("script_location", str(LEDGER))
    with database.transaction() as connection:
        config.attributes["connection"] = connection
        config.attributes["version_table"] = "ledger_schema_version"
        command.downgrade(config, revision)


def queue_of(world: ViewWorld) -> View:
    """Return the queue."""
    return next(view for view in world.hoard.inline.all if view.name == "queue")


def test_requests_keep_the_time_since_which_they_wait(world: ViewWorld) -> None:
    database = world.hoard.storage.ledger_database
    world.submit(3)
    world.clock.advance(timedelta(seconds=2.5))
    world.submit(models=["B"])
    world.pop()
    world.submit()
    back_to("r0003", database)
    migrate_ledger(database)
    report = verify(queue_of(world), world.hoard.storage.log, database)
    assert report.differences == ()
    assert report.rows > 0
    assert world.pop().model == "B"


def test_a_program_that_does_not_know_the_time_may_go_on_submitting(world: ViewWorld) -> None:
    request_id = world.submit()
    database = world.hoard.storage.ledger_database
    known = [column for column in OPEN_REQUEST.c if column is not OPEN_REQUEST.c.waiting_since]
    with database.transaction() as connection:
        row = dict(connection.execute(select(*known)).one()._mapping)
        connection.execute(OPEN_REQUEST.delete())
        connection.execute(OPEN_REQUEST.insert().values(**row))
        assert connection.execute(select(OPEN_REQUEST.c.waiting_since)).scalar_one() == LONG_AGO
    assert world.pop().request_id == request_id
