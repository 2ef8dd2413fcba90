"""The ledger's ports: the directory, and a process's memory of workers."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.accounts.directory import AccountEntry, SharedKeyEntry
from domain.jobs.model_affinity import LoadedModel
from domain.workers.directory import WorkerEntry


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


class EndpointCounts(Protocol):
    """How many webhook endpoints there are, exact: see :class:`Directory`."""

    def count_of_endpoints(self, account_id: UUID) -> int:
        """Return how many endpoints of an account were not deleted."""


class LoadedModels(Protocol):
    """Since when each worker has had the model that it has in memory, as a process remembers it.

    A worker that is forgotten counts as if it had loaded its model just now: it may keep others
    waiting for that much longer, once.
    """

    def seen(self, worker_id: UUID, model: str | None, now: datetime) -> LoadedModel | None:
        """Note what a worker has loaded at this moment; return it with the time it has had it.

        :param model: None where it has none, or does not say.
        """


class SkippedRequests(Protocol):
    """What workers were not given because of words in the prompts, as a process remembers it.

    No decision rests on it: what is forgotten is opened, and skipped, once more.
    """

    def by(self, worker_id: UUID, blacklist: tuple[str, ...]) -> Collection[UUID]:
        """Return what this worker was not given, with its present blacklist."""

    def add(self, worker_id: UUID, blacklist: tuple[str, ...], request_id: UUID) -> None:
        """Note that it was not given this request either."""
