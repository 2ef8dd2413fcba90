"""What the ledger needs from outside, as ports: time, chance, the queue and the directory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from domain.kudos import Balance
from domain.matching import Candidate, Capabilities
from domain.roles import Roles
from domain.shared_key import KeyLimits
from domain.worker import WorkerKind


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


LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""Before anything was asked for."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Where a worker may look for its next job."""

    lane: int
    account_id: UUID | None = None
    """The account whose requests alone are meant; None: those of all."""
    models: tuple[str, ...] = ()
    """The models of which the worker needs one; empty means any."""
    asked_by: UUID | None = None
    """The account of the first request there."""
    priority: float = 0.0
    """That of the first request there."""
    waiting_since: datetime = LONG_AGO
    """When the first request there was submitted."""


class WaitingQueue(Protocol):
    """The exact queue: it changes in the same transaction as the events."""

    def lanes_for(
        self,
        worker: Candidate,
        *,
        first: Collection[UUID] = (),
        only_first: bool = False,
        but_not: Collection[UUID] = (),
    ) -> Sequence[Offer]:
        """Return where something waits that this worker may have, the best first.

        Costs the same however many requests wait.

        :param first: accounts whose requests come before all others; of these alone it does not
            matter whether their kudos were there.
        :param only_first: whether the requests of all others are left out.
        :param but_not: requests to be passed over, a few hundred at most.
        """

    def claim(
        self, offer: Offer, *, patiently: bool = False, but_not: Collection[UUID] = ()
    ) -> UUID | None:
        """Claim the first request there that nobody else holds, until the transaction ends.

        :param patiently: whether to wait for the first request that somebody holds, rather than to
            pass over it; None then means that nothing of it was left.
        :param but_not: requests to be passed over, a few hundred at most.
        """

    def waiting_among(self, request_ids: Collection[UUID]) -> int:
        """Return how many of these requests, a few hundred at most, wait for a worker."""


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account as the directory knows it."""

    account_id: UUID
    name: str
    roles: Roles
    number: int = 0
    """0 for anonymous."""
    concurrency: int | None = None
    """Images that may wait at a time; None: what the installation allows everybody."""
    worker_invited: int = 0
    """Workers that it may run beside those that everybody may."""
    public_workers: bool = False
    deleted: bool = False
    opened_at: datetime | None = None
    shared_key_id: UUID | None = None
    """The shared key that was shown instead of the account's own."""

    @property
    def handle(self) -> str:
        """What clients know it by, such as ``name#12``."""
        return f"{self.name}#{self.number}"


@dataclass(frozen=True, slots=True)
class Purse:
    """What a locked account may spend, and what it has asked for already."""

    balance: Balance
    waiting: int
    """Images of its requests that wait for a worker."""


class Funds(Protocol):
    """Whose kudos are how many, exact: it changes in the same transaction as the events."""

    def lock(self, account_id: UUID) -> AccountEntry | None:
        """Return an account from which nobody else spends until this thread's transaction ends.

        What arrives meanwhile (rewards, transfers, refunds) needs no lock and only adds to it.
        """

    def purse(self, account_id: UUID, *, most: int) -> Purse:
        """Return what an account may spend, once this thread's transaction has locked it.

        :param most: how many of its requests are looked at for what waits.
        """

    def balance(self, holder_id: UUID) -> Balance:
        """Return the balance of an account, or what was held and burnt under a shared key."""

    def last_sent(self, sender_id: UUID, receiver_id: UUID) -> datetime | None:
        """Return when one account last sent kudos to another, None for never."""


@dataclass(frozen=True, slots=True)
class SharedKeyEntry:
    """A shared key as the directory knows it."""

    shared_key_id: UUID
    owner_id: UUID
    name: str
    limits: KeyLimits


@dataclass(frozen=True, slots=True)
class WorkerEntry:
    """A worker as the directory knows it."""

    worker_id: UUID
    name: str
    owner_id: UUID
    capabilities: Capabilities
    maintenance: bool
    paused: bool
    kind: WorkerKind = WorkerKind.REMOTE
    flagged: bool = False
    """Whether it is in maintenance because it lost too many images."""
    maintenance_message: str = ""
    info: str = ""


class Directory(Protocol):
    """Who is who, exact: it changes in the same transaction as the events."""

    def account_by_key(self, key_digest: str) -> AccountEntry | None:
        """Return the account whose key has this SHA-256, be it deleted; of a shared key, its
        owner's."""

    def account(self, account_id: UUID) -> AccountEntry | None:
        """Return an account."""

    def shared_key(self, shared_key_id: UUID) -> SharedKeyEntry | None:
        """Return a shared key that was not revoked."""

    def count_of_shared_keys(self, owner_id: UUID) -> int:
        """Return how many shared keys of an account were not revoked."""

    def next_account_number(self) -> int:
        """Return a number that no account has; who saves it first gets it."""

    def worker(self, worker_id: UUID) -> WorkerEntry | None:
        """Return a worker that was not deleted."""

    def worker_by_name(self, name: str) -> WorkerEntry | None:
        """Return the worker of this name."""

    def workers_of(self, owner_id: UUID) -> int:
        """Return how many workers an account runs."""
