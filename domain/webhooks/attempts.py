"""What comes of one attempt: the receiver's answer, or why there was none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

_GONE = 410
_LONGEST_HEADER = 64
_LONGEST_NUMBER = 9


class Problem(StrEnum):
    """Why no answer came."""

    NOT_RESOLVED = "not_resolved"
    """No address belongs to the host's name."""
    FORBIDDEN = "forbidden"
    """The host's address is one that this installation does not call."""
    NOT_CONNECTED = "not_connected"
    """No connection, or it ended before there was an answer."""
    TLS = "tls"
    """The certificate was not valid, or the handshake failed."""
    TIMED_OUT = "timed_out"
    BROKEN_OFF = "broken_off"
    """It failed in some other way."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt: a status, or the reason why there is none."""

    status: int | None = None
    """The HTTP status, 100 to 599."""
    problem: Problem | None = None
    retry_after: timedelta | None = None
    """How long the receiver asked to wait."""

    def __post_init__(self) -> None:
        """Check that it is the one or the other.

        :raises ValueError: when it is both or neither.
        """
        if (self.status is None) is (self.problem is None):
            raise ValueError("an attempt ends with a status or with a problem")

    @property
    def is_success(self) -> bool:
        """Whether the receiver took the delivery: only 2xx counts, redirects are not followed."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing more, for good (410)."""
        return self.status == _GONE


def requested_wait(header: str | None, now: datetime) -> timedelta | None:
    """Return what a ``Retry-After`` header asks for: seconds or a date (RFC 9110, 10.2.3).

    None for no header and for one that cannot be read, and zero for a date that is past. Nothing
    that a receiver writes there raises an error.

    :param now: with its time zone.
    """
    text = (header or "").strip()
    if not text or len(text) > _LONGEST_HEADER or not text.isascii():
        return None
    if text.isdigit():
        digits = text.lstrip("0") or "0"
        return timedelta(seconds=int(digits)) if len(digits) <= _LONGEST_NUMBER else timedelta.max
    try:
        at = parsedate_to_datetime(text)
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        return max(timedelta(0), at - now)
    except (ValueError, OverflowError):
        return None
