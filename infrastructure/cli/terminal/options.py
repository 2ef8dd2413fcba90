"""Options that several commands share."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from infrastructure.cli.terminal.errors import WRONGLY_ASKED, CliError

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Folder that holds everything; default $HOARD_DATA, else ./hoard-data.",
        show_default=False,
    ),
]

Url = Annotated[
    str | None,
    typer.Option(help="The server; default the one of `hoard up`.", show_default=False),
]

Key = Annotated[
    str | None,
    typer.Option(
        envvar="HOARD_API_KEY",
        help="An API key; anonymous if not given.",
        show_default=False,
        show_envvar=True,
    ),
]

AsJson = Annotated[
    bool, typer.Option("--json", help="Write JSON lines for other programs.", show_default=False)
]


_AGO = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment_from(text: str, now: datetime) -> datetime:
    """Return the moment that ``2h``, ``2026-11-28`` or ``2026-11-28T12:00Z`` means, in UTC.

    What names no time zone is in that of this machine.

    :raises Trouble: when it means none.
    """
    text = text.strip()
    try:
        if ago := _AGO.fullmatch(text):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise CliError(
            f"{text} is no moment.",
            advice="Write 30m, 2h or 7d for so long ago, or a time such as 2026-11-28T12:00.",
            exit_status=WRONGLY_ASKED,
        ) from None
