"""Notices for owners and operators of webhook endpoints: what is wrong, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime

from domain.webhooks.circuit import Health
from domain.webhooks.endpoint import DisableReason

_DISABLED = {
    DisableReason.GONE: (
        "It answered 410 (gone), so nothing is sent there any more. Enable it again if that was "
        "a mistake."
    ),
    DisableReason.DEAD: (
        "Nothing arrived there for days, so nothing is sent there any more. Test it, and enable "
        "it again once the test arrives."
    ),
}


def notice_of(disabled: DisableReason | None, health: Health, now: datetime) -> str | None:
    """Return a few sentences where something is wrong with an endpoint; None where nothing is.

    One that was disabled by hand needs none.

    :param disabled: why nothing is sent there; None while something is.
    :param health: how it has answered lately.
    """
    if disabled is not None:
        return _DISABLED.get(disabled)
    if health.next_probe_at is None:
        return None
    failed = f"The last {health.failures} attempts failed"
    if (blocked_until := health.blocked_until(now)) is not None:
        until = blocked_until.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return f"{failed}, so nothing is sent there until {until}. A test goes at once."
    return f"{failed}. One delivery at a time is sent to see whether it answers again."
