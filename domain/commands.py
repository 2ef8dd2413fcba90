"""The commands that carry more than an id: what a front-end asks, what a worker says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.image_settings import ImageSettings
from domain.matching import Capabilities, Requirements


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """Ask for images."""

    account_id: UUID
    prompt: str
    negative_prompt: str
    """Empty for none."""
    settings: ImageSettings
    requirements: Requirements
    images: int
    """1 to 20."""
    seed: int | None = None
    """0 to 2^32 - 1; None for a random one per job."""
    seed_variation: int = 1
    """What each further job adds to the seed, 1 to 1000."""
    disable_batching: bool = False
    shared: bool = False
    r2: bool = True
    priority: float = 0.0
    client_address: str = ""
    client_agent: str = "unknown:0:unknown"


@dataclass(frozen=True, slots=True)
class PopJob:
    """Ask for work, as a worker that says all about itself each time."""

    owner_id: UUID
    """The account whose key it shows."""
    owner_trusted: bool
    worker_name: str
    capabilities: Capabilities
    slow: bool = False
    """Whether it was measured at half a megapixelstep a second or less."""


@dataclass(frozen=True, slots=True)
class PoppedJob:
    """A job as the worker gets it."""

    job_id: UUID
    request_id: UUID
    image_ids: tuple[UUID, ...]
    """In batch order."""
    worker_id: UUID
    model: str
    prompt: str
    negative_prompt: str
    settings: ImageSettings
    seed: int
    lease_ends_at: datetime
    lease_seconds: int
    r2: bool


@dataclass(frozen=True, slots=True)
class NoJob:
    """There is no work that this worker may have."""

    worker_id: UUID
