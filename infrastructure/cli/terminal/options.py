"""Options that several commands share, and times as people type them."""

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
        help="Data folder; default $HOARD_DATA, else ./hoard-data.",
        show_default=False,
    ),
]

Url = Annotated[
    str | None,
    typer.Option(help="Address of the server; default that of `hoard up`.", show_default=False),
]

Key = Annotated[
    str | None,
    typer.Option(
        envvar="HOARD_API_KEY",
        help="API key; default anonymous.",
        show_default=False,
        show_envvar=True,
    ),
]


def usable_key(key: str) -> str:
    """Return an API key without the blanks and line breaks around it.

    :raises CliError: when no header can hold it; the key is not shown.
    """
    plain = key.strip()
    if not (plain.isascii() and plain.isprintable()):
        raise CliError(
            "The API key has characters that no key has.",
            advice="Copy it once more: a key is 22 letters, digits, - and _.",
            exit_status=WRONGLY_ASKED,
        )
    return plain


AsJson = Annotated[bool, typer.Option("--json", help="Write JSON lines.", show_default=False)]


_AGO = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment_from(text: str, now: datetime) -> datetime:
    """Return the moment that ``2h``, ``2026-11-28`` or ``2026-11-28T12:00Z`` means, in UTC.

    A time without a time zone is in that of this machine.

    :raises CliError: when it is not a time.
    """
    text = text.strip()
    try:
        if ago := _AGO.fullmatch(text):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise CliError(
            f"{text} is not a time.",
            advice="Write 30m, 2h or 7d for that long ago, or a time such as 2026-11-28T12:00.",
            exit_status=WRONGLY_ASKED,
        ) from None
