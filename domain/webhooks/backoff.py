"""How long a delivery waits between attempts, and when it is abandoned.

Each wait is a fixed multiple of the one before, up to a limit. Jitter only makes it longer, so that
deliveries that failed together do not come back together. A receiver that names a time
(``Retry-After``) is not called before it, unless it names one beyond the limit.

All of it is arithmetic on what happened so far; the time and the jitter are passed in. What the
failures mean for the destination is decided in :mod:`domain.webhooks.circuit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.webhooks.attempts import Outcome
from domain.webhooks.notification import TEST, NotificationKind

_JITTER = 0.2
"""The largest part of a wait that is added to it at random."""


class AbandonReason(StrEnum):
    """Why no further attempt is made."""

    FAILED = "failed"
    """Every attempt failed."""
    GONE = "gone"
    """The receiver said that it is gone (410)."""
    LATE = "late"
    """Its time was over before the next attempt, or before the first."""
    DISABLED = "disabled"
    """Its endpoint was disabled or deleted."""
    FORGOTTEN = "forgotten"
    """Its account or request was forgotten, and with it the address or the content."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How many attempts a delivery gets, how far apart, and for how long."""

    attempts: int
    """In all, the first included."""
    first_wait: timedelta
    """Between the first attempt and the second, before jitter."""
    factor: int
    """Each wait is this many times the one before it."""
    longest_wait: timedelta
    """The limit of every wait, also of one that the receiver asks for, before jitter."""
    lifetime: timedelta
    """From when it was scheduled until it is abandoned, attempted or not. So deliveries do not
    pile up while a circuit is open."""


PER_REQUEST = Policy(
    attempts=3,
    first_wait=timedelta(seconds=5),
    factor=6,
    longest_wait=timedelta(minutes=5),
    lifetime=timedelta(hours=1),
)
"""For a request's own webhook: three attempts as in the v2 API, while its images are there."""

PER_ACCOUNT = Policy(
    attempts=10,
    first_wait=timedelta(seconds=5),
    factor=5,
    longest_wait=timedelta(hours=10),
    lifetime=timedelta(days=3),
)
"""For an account's endpoint: a day and a half of waits, so that nothing is lost when a receiver
fails at night and is repaired the next day."""

ONCE = Policy(
    attempts=1,
    first_wait=timedelta(seconds=1),
    factor=1,
    longest_wait=timedelta(seconds=1),
    lifetime=timedelta(minutes=5),
)
"""For a test: the client is waiting for its outcome."""


def policy_for(kind: NotificationKind, endpoint_id: UUID | None) -> Policy:
    """Return the policy of a delivery.

    :param endpoint_id: None for a request's own webhook.
    """
    if kind == TEST:
        return ONCE
    return PER_REQUEST if endpoint_id is None else PER_ACCOUNT


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from an attempt: exactly one of the three."""

    delivered: bool = False
    again_at: datetime | None = None
    """When the next attempt is due."""
    abandoned: AbandonReason | None = None


def decide(
    policy: Policy,
    outcome: Outcome,
    *,
    attempts: int,
    give_up_at: datetime,
    jitter: float,
    now: datetime,
) -> Decision:
    """Return what follows from an attempt that has just ended.

    :param attempts: how many there were, this one included; at least 1.
    :param give_up_at: when the delivery's time is over; no attempt begins then or later.
    :param jitter: from 0 to below 1, drawn anew each time.
    """
    if outcome.is_success:
        return Decision(delivered=True)
    if outcome.is_gone:
        return Decision(abandoned=AbandonReason.GONE)
    if attempts >= policy.attempts:
        return Decision(abandoned=AbandonReason.FAILED)
    again_at = now + wait_after(policy, attempts, jitter, outcome.retry_after)
    if again_at >= give_up_at:
        return Decision(abandoned=AbandonReason.LATE)
    return Decision(again_at=again_at)


def wait_after(
    policy: Policy, failures: int, jitter: float, requested: timedelta | None = None
) -> timedelta:
    """Return how long to wait after a failure.

    :param failures: how many there were, this one included; at least 1.
    :param jitter: from 0 to below 1, drawn anew each time.
    :param requested: the wait that the receiver asked for, if it did.
    """
    wait = grown(policy.first_wait, policy.factor, failures - 1, policy.longest_wait)
    if requested is not None:
        wait = max(wait, min(requested, policy.longest_wait))
    return wait * (1 + _JITTER * jitter)


def grown(first: timedelta, factor: int, times: int, longest: timedelta) -> timedelta:
    """Return a wait multiplied so many times, but no longer than the longest."""
    wait = min(first, longest)
    for _ in range(times):
        if wait >= longest or factor <= 1:
            break
        wait = min(wait * factor, longest)
    return wait
