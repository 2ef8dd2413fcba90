"""Moments as people write them: a date, a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from infrastructure.cli.terminal.errors import WRONGLY_ASKED, CliError

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


def instant(moment: datetime | None) -> str:
    """Return a moment in UTC to the second, and a dash for none."""
    if moment is None:
        return "–"
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
