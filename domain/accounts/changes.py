"""What can be changed about an account at once; None leaves a thing as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AccountChange:
    """A change to an account."""

    name: str | None = None
    """1 to 30 characters."""
    contact: str | None = None
    """How to reach the account's holder; empty removes it."""
    public_workers: bool | None = None
    """Whether everybody is shown which workers are its own."""
    roles: Mapping[str, bool] = field(default_factory=dict)
    """Roles to be given or taken, by the fields' names of :class:`domain.accounts.roles.Roles`."""
    concurrency: int | None = None
    """Images that may wait at a time, 0 to 500."""
    worker_invited: int | None = None
    """Workers that it may run beside those that everybody may."""
    comment: str | None = None
    """The moderators' comment; empty removes it."""
