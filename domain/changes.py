"""What can be changed about an account or a worker at once; None leaves a thing as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AccountChange:
    """A change to an account."""

    name: str | None = None
    """1 to 30 characters."""
    contact: str | None = None
    """How to reach whoever it belongs to; empty takes it away."""
    public_workers: bool | None = None
    """Whether everybody is told which workers are its own."""
    roles: Mapping[str, bool] = field(default_factory=dict)
    """Roles to be given or taken, by the names of the fields of :class:`domain.roles.Roles`."""
    concurrency: int | None = None
    """Images that may wait at a time, 0 to 500."""
    worker_invited: int | None = None
    """Workers that it may run beside those that everybody may."""
    comment: str | None = None
    """What moderators have written down about it; empty takes it away."""


@dataclass(frozen=True, slots=True)
class WorkerChange:
    """A change to a worker."""

    name: str | None = None
    """1 to 100 characters."""
    info: str | None = None
    """What its owner says about it, at most 1,000 characters; empty takes it away."""
    maintenance: bool | None = None
    """Whether its owner has it out of service."""
    maintenance_message: str = ""
    """Why; told to the worker, and only while it is in maintenance."""
    paused: bool | None = None
    """Whether a moderator has it out of service."""
