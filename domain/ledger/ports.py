"""The directory of accounts, shared keys and workers, as the ledger's port."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from domain.accounts.directory import AccountEntry, SharedKeyEntry
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
