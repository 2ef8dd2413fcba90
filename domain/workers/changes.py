"""What can be changed about a worker at once; None leaves a thing as it is."""

from __future__ import annotations

from dataclasses import dataclass


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
    """The reason; shown to the worker, and only while it is in maintenance."""
    paused: bool | None = None
    """Whether a moderator has it out of service."""
