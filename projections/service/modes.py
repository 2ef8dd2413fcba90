"""The modes of the service as a view: exact, since taking a request depends on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sqlalchemy import Boolean, Column, Connection, Integer, MetaData, Table, select

from domain.service.modes import Horde, Modes
from projections.sql.cached import CachedAnswer
from projections.sql.rows import replace_row
from projections.view import RecordedEvent, ViewDatabase

METADATA = MetaData()

HORDE_MODES = Table(
    "horde_modes",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("maintenance", Boolean, nullable=False),
    Column("invite_only", Boolean, nullable=False),
    Column("raid", Boolean, nullable=False),
)
"""One row, once the modes were changed for the first time."""

_ONLY_ROW = 1
_SECONDS = 1.0
_READ = select(HORDE_MODES.c.maintenance, HORDE_MODES.c.invite_only, HORDE_MODES.c.raid)


class ModesView:
    """Follows the modes of the service."""

    name = "modes"
    tables: Sequence[Table] = (HORDE_MODES,)

    def apply(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        """Keep the modes of the last of these events."""
        for record in records:
            event = record.event
            if isinstance(event, Horde.ModesChanged):
                row = {
                    "id": _ONLY_ROW,
                    "maintenance": event.modes.maintenance,
                    "invite_only": event.modes.invite_only,
                    "raid": event.modes.raid,
                }
                replace_row(connection, HORDE_MODES, row)


class ModesReader:
    """Reads the modes: one statement a second, however many calls there are."""

    def __init__(self, database: ViewDatabase, clock: Callable[[], float] = time.monotonic) -> None:
        """Read from the database that holds the events.

        :param clock: seconds of a clock that never goes back.
        """
        self._database = database
        self._clock = clock
        self._cached = self._new_cache()

    def now(self) -> Modes:
        """Return the modes, as of up to a second ago."""
        return self._cached(None)

    def forget(self) -> None:
        """Look anew when asked next: this process has just changed them."""
        self._cached = self._new_cache()

    def _new_cache(self) -> CachedAnswer[None, Modes]:
        return CachedAnswer(self._read, seconds=_SECONDS, clock=self._clock)

    def _read(self, _: None) -> Modes:
        with self._database.reading() as connection:
            row = connection.execute(_READ).first()
        return Modes() if row is None else Modes(row.maintenance, row.invite_only, row.raid)
