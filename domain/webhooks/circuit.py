"""When a destination's circuit opens, and how many deliveries may be in flight to it.

After several failures in a row the circuit opens: for a time that grows with each failure nothing
is sent there, then one delivery at a time goes out as a probe. The first that arrives closes the
circuit. A destination where nothing arrived for days is dead.

All of it is arithmetic on what happened so far; the time is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.webhooks.attempts import Outcome
from domain.webhooks.backoff import grown

MOST_AT_ONCE = 4
"""Deliveries that may be in flight to one destination at a time, while it answers."""
MOST_UNPROVEN = 2
"""The same, where nothing arrived yet or the last attempt failed."""

FAILURES_UNTIL_OPEN = 5
"""Failures in a row that open the circuit: more than are in flight at a time, so that one bad
moment is not enough."""
FIRST_PROBE_WAIT = timedelta(seconds=30)
"""Between the failure that opens the circuit and the first probe."""
LONGEST_PROBE_WAIT = timedelta(hours=1)
_PROBE_WAIT_FACTOR = 2

FAILURES_UNTIL_DEAD = 10
"""So a few unlucky deliveries, far apart, do not count as days of silence."""
DEAD_AFTER = timedelta(days=5)
"""How long all deliveries must have failed; a long weekend is shorter."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a destination has answered lately; unknown at first."""

    failures: int = 0
    """In a row, up to the last attempt that ended."""
    failing_since: datetime | None = None
    """When the first of them ended."""
    last_failed_at: datetime | None = None
    proven: bool = False
    """Whether the last attempt that ended was a success."""

    def after(self, outcome: Outcome, now: datetime) -> Health:
        """Return it with one more attempt that has just ended.

        A status that refuses one delivery is a failure like silence: how the receiver will answer
        the next delivery is not known.
        """
        if outcome.is_success:
            return Health(proven=True)
        return Health(
            failures=self.failures + 1,
            failing_since=self.failing_since or now,
            last_failed_at=max(now, self.last_failed_at or now),
        )

    @property
    def next_probe_at(self) -> datetime | None:
        """When a probe may be sent; None while the circuit is closed."""
        if self.last_failed_at is None or self.failures < FAILURES_UNTIL_OPEN:
            return None
        beyond = self.failures - FAILURES_UNTIL_OPEN
        wait = grown(FIRST_PROBE_WAIT, _PROBE_WAIT_FACTOR, beyond, LONGEST_PROBE_WAIT)
        return self.last_failed_at + wait

    def blocked_until(self, now: datetime) -> datetime | None:
        """Return until when only tests are sent there; None where anything may be sent now."""
        probe_at = self.next_probe_at
        return probe_at if probe_at is not None and now < probe_at else None

    def earliest_attempt(self, due_at: datetime, *, is_test: bool = False) -> datetime:
        """Return when a delivery that is due at a moment may be sent there.

        :param is_test: a test does not wait for the next probe: the receiver may just have been
            repaired, and the client waits for the outcome.
        """
        probe_at = self.next_probe_at
        if is_test or probe_at is None:
            return due_at
        return max(due_at, probe_at)

    @property
    def is_dead(self) -> bool:
        """Whether everything failed there for days, so that its endpoint is to be disabled.

        Time alone does not make it so: both ends of these days are failures.
        """
        if self.failing_since is None or self.last_failed_at is None:
            return False
        return (
            self.failures >= FAILURES_UNTIL_DEAD
            and self.last_failed_at - self.failing_since >= DEAD_AFTER
        )


def room_for(health: Health, in_flight: int, now: datetime, *, is_test: bool = False) -> int:
    """Return how many more deliveries may be sent to a destination at once.

    :param in_flight: how many are being sent there at the moment.
    :param is_test: see :meth:`Health.earliest_attempt`; there is room for no more than one while
        the circuit is open.
    """
    return max(0, _most_at_once(health, now, is_test=is_test) - in_flight)


def _most_at_once(health: Health, now: datetime, *, is_test: bool) -> int:
    if health.proven:
        return MOST_AT_ONCE
    if health.next_probe_at is None:
        return MOST_UNPROVEN
    return 1 if health.earliest_attempt(now, is_test=is_test) <= now else 0
