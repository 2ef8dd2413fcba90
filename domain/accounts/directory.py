"""Accounts and shared keys as the directory knows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.accounts.roles import Roles
from domain.accounts.shared_key import KeyLimits


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
class SharedKeyEntry:
    """A shared key as the directory knows it."""

    shared_key_id: UUID
    owner_id: UUID
    name: str
    limits: KeyLimits
