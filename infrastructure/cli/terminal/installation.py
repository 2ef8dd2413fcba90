"""Opening a Hoard on its databases, for commands that look at it or change it from beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from infrastructure.cli.terminal.errors import CliError

if TYPE_CHECKING:
    from infrastructure.bootstrap import Hoard
    from infrastructure.settings.environment import Settings


@contextmanager
def opened(data: Path | None, *, or_made: bool = False) -> Iterator[Hoard]:
    """Open what the settings and ``--data`` name, while ``hoard up`` runs on it or not.

    :param or_made: whether an installation that was never started is made now.
    :raises Trouble: when there is none.
    :raises SettingsInvalid: when a setting has no usable value.
    """
    from infrastructure.logs.configuration import configure_logs
    from infrastructure.settings.environment import load_settings

    settings = load_settings(data=data)
    configure_logs("WARNING" if settings.log_level == "INFO" else settings.log_level, json=False)
    if not or_made:
        _require_ledger(settings)

    from infrastructure.bootstrap import assemble

    hoard = assemble(settings)
    try:
        yield hoard
    finally:
        hoard.close()


def _require_ledger(settings: Settings) -> None:
    database = settings.ledger_database
    if database.startswith("sqlite:///"):
        file = Path(database.removeprefix("sqlite:///"))
        if not file.exists():
            raise CliError(
                f"There is no ledger at {file}.",
                advice="Say where it is with --data DIR, or make one with `hoard up --data DIR`.",
            )
