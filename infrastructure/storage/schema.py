"""Bring a database's tables up to date when a process starts.

Two histories of revisions, ``ledger`` (the log, its keys, the inline views) and ``views`` (what
follows the log), each with a version table of its own, so that both may live in one database.
Any number of processes may start at once: one migrates, the others wait and find it done.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from infrastructure.storage.database import Database
from infrastructure.storage.event_sql import ORDINAL_BITS

_FOLDER = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 0x686F617264
"""``hoard`` in ASCII: one lock for both histories."""


def migrate_ledger(database: Database) -> None:
    """Bring the ledger's tables up to date, and the log's positions after a restored dump."""
    _migrate(database, "ledger")
    if not database.is_sqlite:
        _continue_restored_log(database)


def migrate_views(database: Database) -> None:
    """Bring the followers' tables up to date."""
    _migrate(database, "views")


def _migrate(database: Database, history: str) -> None:
    version_table = f"{history}_schema_version"
    config = Config()
    config.set_main_option("script_location", str(_FOLDER / history).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    with database.transaction() as connection:
        if not database.is_sqlite:
            # Another process may take its time to migrate.
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        context = MigrationContext.configure(connection, opts={"version_table": version_table})
        if context.get_current_heads() == tuple(script.get_heads()):
            return
        config.attributes["connection"] = connection
        config.attributes["version_table"] = version_table
        command.upgrade(config, "heads")


_RESTORED = text(f"""
    SELECT (max(position) >> {ORDINAL_BITS})
           - pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1
      FROM event
    """)
"""The least base under which the next transaction lies above all that is in the log.

Log and snapshot come from one statement, so whatever is visible was written by a transaction below
``xmax``; the least base can exceed the present one only if the log came from another cluster.
"""


def _continue_restored_log(database: Database) -> None:
    with database.transaction() as connection:
        if not _is_ahead(connection):
            return
        connection.execute(text("LOCK TABLE event IN EXCLUSIVE MODE"))
        connection.execute(text("SELECT base FROM log_epoch FOR UPDATE"))
        if _is_ahead(connection):
            least = connection.execute(_RESTORED).scalar_one()
            connection.execute(text("UPDATE log_epoch SET base = :base"), {"base": least})


def _is_ahead(connection: Connection) -> bool:
    least = connection.execute(_RESTORED).scalar_one()
    base = connection.execute(text("SELECT base FROM log_epoch")).scalar_one()
    return least is not None and least > base
