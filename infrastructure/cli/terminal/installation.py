"""Opens an installation on its databases, for commands that read or change it directly."""

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
    """Open the installation of the settings and ``--data``; ``hoard up`` may run on it.

    :param or_made: whether to create the installation if there is none.
    :raises CliError: when there is none.
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
                advice="Give its folder as --data DIR, or make one with `hoard up --data DIR`.",
            )
