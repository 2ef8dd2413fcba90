"""When a webhook is sent again, when it is given up, and when an address is left in peace.

All of it is arithmetic on what happened so far; time and chance are passed in.

- Each wait is a fixed multiple of the one before, up to a limit. Chance only ever makes it longer,
  so that what failed together does not come back together, and a receiver that names a time
  (``Retry-After``) is never called before it, unless it names one beyond the limit.
- An address that failed several times in a row rests: nothing goes there for a while that grows,
  then one delivery at a time tries it, until one arrives.
- An address where nothing arrived for days is dead.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

_GONE = 410
_LONGEST_HEADER = 64
_LONGEST_NUMBER = 9
_JITTER = 0.2
"""The largest part of a wait that chance adds to it."""

MOST_AT_ONCE = 4
"""Deliveries that may be on their way to one address at a time, while it answers."""
MOST_UNPROVEN = 2
"""The same, where nothing arrived yet or what was tried last failed."""

FAILURES_UNTIL_REST = 5
"""Failures in a row after which an address rests: more than are on their way there at a time, so
that one bad moment is not enough."""
FIRST_REST = timedelta(seconds=30)
LONGEST_REST = timedelta(hours=1)
_REST_FACTOR = 2

FAILURES_UNTIL_DEAD = 10
"""So a few unlucky deliveries, far apart, do not count as days of silence."""
DEAD_AFTER = timedelta(days=5)
"""How long all deliveries must have failed; a long weekend is shorter."""


class Problem(StrEnum):
    """Why no answer came."""

    NOT_RESOLVED = "not_resolved"
    """No address belongs to the host's name."""
    FORBIDDEN = "forbidden"
    """The host's address is one that this installation does not call."""
    NOT_CONNECTED = "not_connected"
    """No connection, or it ended before there was an answer."""
    TLS = "tls"
    """The certificate or the handshake was no good."""
    TIMED_OUT = "timed_out"
    BROKEN_OFF = "broken_off"
    """It failed in some other way."""


class AbandonReason(StrEnum):
    """Why a delivery is not tried any more."""

    FAILED = "failed"
    """Every try failed."""
    GONE = "gone"
    """The receiver said that it is there no more (410)."""
    LATE = "late"
    """Its time was over before it could be tried (again)."""
    DISABLED = "disabled"
    """Its endpoint was disabled or deleted."""
    FORGOTTEN = "forgotten"
    """Whose it is was forgotten, and with them the address or what was to be told."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one try: a status, or the reason why there is none."""

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
            raise ValueError("a try ends with a status or with a problem")

    @property
    def is_success(self) -> bool:
        """Whether the receiver took it: 2xx alone counts, redirects are not followed."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing more, for good."""
        return self.status == _GONE


@dataclass(frozen=True, slots=True)
class Policy:
    """How often and for how long a delivery is tried."""

    tries: int
    """In all, the first included."""
    first_wait: timedelta
    """Between the first try and the second, before chance."""
    factor: int
    """How many times the wait before it each wait is."""
    longest_wait: timedelta
    """The limit of every wait, also of one that the receiver asks for, before chance."""
    lifetime: timedelta
    """From when it was scheduled until it is given up, tried or not: so what waits for an address
    that rests does not pile up."""


PER_REQUEST = Policy(
    tries=3,
    first_wait=timedelta(seconds=5),
    factor=6,
    longest_wait=timedelta(minutes=5),
    lifetime=timedelta(hours=1),
)
"""For the address that a request names: three tries as in the v2 API, while its images are there.
"""

PER_ACCOUNT = Policy(
    tries=10,
    first_wait=timedelta(seconds=5),
    factor=5,
    longest_wait=timedelta(hours=10),
    lifetime=timedelta(days=3),
)
"""For an account's endpoint: a day and a half of waits, so that a night's failure and the
repair after it lose nothing."""

ONCE = Policy(
    tries=1,
    first_wait=timedelta(seconds=1),
    factor=1,
    longest_wait=timedelta(seconds=1),
    lifetime=timedelta(minutes=5),
)
"""For a test, of which somebody waits to see what comes."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from a try: exactly one of the three."""

    delivered: bool = False
    again_at: datetime | None = None
    given_up: AbandonReason | None = None


def wait_after(
    policy: Policy, failures: int, jitter: float, asked: timedelta | None = None
) -> timedelta:
    """Return how long to wait after a failure.

    :param failures: how many there were, this one included; at least 1.
    :param chance: from 0 to below 1, drawn anew each time.
    :param asked: what the receiver asked for, if it did.
    """
    wait = _grown(policy.first_wait, policy.factor, failures - 1, policy.longest_wait)
    if asked is not None:
        wait = max(wait, min(asked, policy.longest_wait))
    return wait * (1 + _JITTER * jitter)


def decide(
    policy: Policy,
    outcome: Outcome,
    *,
    tries: int,
    give_up_at: datetime,
    jitter: float,
    now: datetime,
) -> Decision:
    """Return what follows from a try that has just ended.

    :param tries: how many there were, this one included; at least 1.
    :param give_up_at: when the delivery's time is over; a try that would begin later is not made.
    :param chance: from 0 to below 1.
    """
    if outcome.is_success:
        return Decision(delivered=True)
    if outcome.is_gone:
        return Decision(given_up=AbandonReason.GONE)
    if tries >= policy.tries:
        return Decision(given_up=AbandonReason.FAILED)
    again_at = now + wait_after(policy, tries, jitter, outcome.retry_after)
    if again_at >= give_up_at:
        return Decision(given_up=AbandonReason.LATE)
    return Decision(again_at=again_at)


def asked_wait(header: str | None, now: datetime) -> timedelta | None:
    """Return what a ``Retry-After`` header asks for: seconds or a date (RFC 9110, 10.2.3).

    None for no header and for one that means nothing, and zero for a date that is past. Nothing
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


@dataclass(frozen=True, slots=True)
class Health:
    """How an address has answered lately; it starts unknown."""

    failures: int = 0
    """In a row, up to the last try that ended."""
    failing_since: datetime | None = None
    """When the first of them ended."""
    last_failed_at: datetime | None = None
    proven: bool = False
    """Whether the last try that ended was a success."""

    def after(self, outcome: Outcome, now: datetime) -> Health:
        """Return it with one more try that has just ended.

        A receiver that says no to one delivery with a status of its own is a failure like silence:
        what it will say to the next is not known.
        """
        if outcome.is_success:
            return Health(proven=True)
        return Health(
            failures=self.failures + 1,
            failing_since=self.failing_since or now,
            last_failed_at=max(now, self.last_failed_at or now),
        )

    @property
    def rests_until(self) -> datetime | None:
        """When something may be sent there again; None for an address that does not rest."""
        if self.last_failed_at is None or self.failures < FAILURES_UNTIL_REST:
            return None
        beyond = self.failures - FAILURES_UNTIL_REST
        return self.last_failed_at + _grown(FIRST_REST, _REST_FACTOR, beyond, LONGEST_REST)

    def opens_at(self, due_at: datetime, *, is_test: bool = False) -> datetime:
        """Return when something that is due at a moment may be sent there.

        :param is_test: a test does not wait for the end of a rest: somebody may just have mended
            the address, and waits to see.
        """
        rests_until = self.rests_until
        if is_test or rests_until is None:
            return due_at
        return max(due_at, rests_until)

    def resting_until(self, now: datetime) -> datetime | None:
        """Return until when it still rests at this time; None where something may be sent."""
        until = self.rests_until
        return until if until is not None and now < until else None

    @property
    def is_dead(self) -> bool:
        """Whether everything failed there for days, so that its owner has to be told.

        Time alone does not make it so: both ends of these days are failures.
        """
        if self.failing_since is None or self.last_failed_at is None:
            return False
        return (
            self.failures >= FAILURES_UNTIL_DEAD
            and self.last_failed_at - self.failing_since >= DEAD_AFTER
        )


def room_for(health: Health, on_their_way: int, now: datetime, *, is_test: bool = False) -> int:
    """Return how many more deliveries may be sent to an address at once.

    :param on_their_way: how many are being sent there at the moment.
    :param is_test: see :meth:`Health.opens_at`; it finds no more room than for one while the
        address rests.
    """
    return max(0, _most_at_once(health, now, is_test=is_test) - on_their_way)


def _most_at_once(health: Health, now: datetime, *, is_test: bool) -> int:
    if health.proven:
        return MOST_AT_ONCE
    if health.rests_until is None:
        return MOST_UNPROVEN
    return 1 if health.opens_at(now, is_test=is_test) <= now else 0


def _grown(first: timedelta, factor: int, times: int, longest: timedelta) -> timedelta:
    grown = min(first, longest)
    for _ in range(times):
        if grown >= longest or factor <= 1:
            break
        grown = min(grown * factor, longest)
    return grown
