"""What the ledger needs from outside, as ports: time, chance, the queue and the directory."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.account import Roles
from domain.matching import Candidate, Capabilities


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """Return the present time, with its time zone."""


class Chance(Protocol):
    """Where randomness comes from."""

    def new_id(self) -> UUID:
        """Return an id that nobody can guess."""

    def new_seed(self) -> int:
        """Return a seed from 0 to 2^32 - 1."""


class Transactions(Protocol):
    """Where several reads and saves become one."""

    def transaction(self) -> AbstractContextManager[object]:
        """Open a transaction, or join this thread's open one; an exception undoes all of it."""


class WaitingQueue(Protocol):
    """The exact queue: it changes in the same transaction as the events."""

    def lanes_for(self, worker: Candidate) -> Sequence[int]:
        """Return the lanes whose first request this worker may have, the best first.

        Costs the same however many requests wait.
        """

    def claim(self, lane: int, *, patiently: bool = False) -> UUID | None:
        """Claim the first request of a lane that nobody else holds, until the transaction ends.

        :param patiently: whether to wait for the first request that somebody holds, rather than to
            pass over it; None then means that nothing of it was left.
        """


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account as the directory knows it."""

    account_id: UUID
    name: str
    roles: Roles


@dataclass(frozen=True, slots=True)
class WorkerEntry:
    """A worker as the directory knows it."""

    worker_id: UUID
    name: str
    owner_id: UUID
    capabilities: Capabilities
    maintenance: bool
    paused: bool


class Directory(Protocol):
    """Who is who, exact: it changes in the same transaction as the events."""

    def account_by_key(self, key_digest: str) -> AccountEntry | None:
        """Return the account whose key has this SHA-256."""

    def account(self, account_id: UUID) -> AccountEntry | None:
        """Return an account."""

    def worker_by_name(self, name: str) -> WorkerEntry | None:
        """Return the worker of this name."""

    def workers_of(self, owner_id: UUID) -> int:
        """Return how many workers an account runs."""
