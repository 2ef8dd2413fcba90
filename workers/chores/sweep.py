"""The sweep: leases and requests whose time is over are ended.

It needs the ledger's database and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import structlog

from domain.return_codes import Refused

_log = structlog.get_logger(__name__)

PORTION = 500
"""The most leases, and the most requests, that one round ends."""


class Overdue(Protocol):
    """The queue as the sweep sees it."""

    def due_leases(self, now: datetime, limit: int) -> Sequence[UUID]:
        """Return jobs whose leases have ended."""

    def due_requests(self, now: datetime, limit: int) -> Sequence[UUID]:
        """Return requests that waited for too long."""

    def has_waiting(self) -> bool:
        """Whether any image waits for a worker."""


class Leases(Protocol):
    """What the ledger does with jobs, as the sweep sees it."""

    def expire_lease(self, job_id: UUID) -> None:
        """End a job's lease if its time is up."""


class Lifetimes(Protocol):
    """What the ledger does with requests, as the sweep sees it."""

    def expire(self, request_id: UUID) -> None:
        """End a request to which nothing happened for too long."""


class Endings(Protocol):
    """The ledger as the sweep sees it."""

    @property
    def jobs(self) -> Leases:
        """What ends leases."""

    @property
    def requests(self) -> Lifetimes:
        """What ends requests."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one round did."""

    leases: int
    """Leases that it ended."""
    requests: int
    """Requests that it let expire."""
    failed: int
    """Commands that did not succeed; the next round runs them again."""
    woke: bool
    """Whether something waits, so that a worker was woken."""


def sweep(
    queue: Overdue,
    ledger: Endings,
    wake: Callable[[], None],
    now: datetime,
    limit: int = PORTION,
) -> Swept:
    """End leases and requests whose time is up, then wake a worker if anything waits.

    Any number of processes may sweep at once: ending what is over already changes nothing. One
    command that fails does not keep the others from being tried.
    """
    leases = queue.due_leases(now, limit)
    ended = sum(_done(ledger.jobs.expire_lease, job_id, "lease") for job_id in leases)
    requests = queue.due_requests(now, limit)
    expired = sum(_done(ledger.requests.expire, request_id, "request") for request_id in requests)
    waiting = queue.has_waiting()
    if waiting:
        wake()
    failed = len(leases) + len(requests) - ended - expired
    if leases or requests:
        _log.info("swept", leases=ended, requests=expired, failed=failed)
    return Swept(leases=ended, requests=expired, failed=failed, woke=waiting)


def _done(command: Callable[[UUID], None], subject: UUID, what: str) -> bool:
    try:
        command(subject)
    except Refused as refusal:
        _log.info("not swept", what=what, id=str(subject), rc=refusal.code.name)
        return False
    except Exception:
        _log.exception("sweep failed", what=what, id=str(subject))
        return False
    return True
