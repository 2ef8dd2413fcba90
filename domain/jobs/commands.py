"""A worker's command for a job, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.images.settings import ImageSettings
from domain.images.source_images import SourceImages
from domain.jobs.replication import Replication
from domain.workers.matching import Capabilities
from domain.workers.worker import WorkerKind


@dataclass(frozen=True, slots=True)
class PopJob:
    """Ask for work, as a worker that says all about itself each time."""

    owner_id: UUID
    """The account whose key it shows."""
    owner_trusted: bool
    worker_name: str
    capabilities: Capabilities
    kind: WorkerKind = WorkerKind.REMOTE
    prioritised: tuple[UUID, ...] = ()
    """Accounts whose requests it serves before all others', as it does its owner's."""
    owner_invited: int = 0
    """How many workers more than others its owner may run."""
    invite_only: bool = False
    """Whether new workers are taken from invited accounts only."""
    slow: bool = False
    """Whether it was measured at half a megapixelstep a second or less."""
    loaded_model: str | None = None
    """The model that it has in memory; None where that is not known."""


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
    censor_nsfw: bool
    source: SourceImages | None
    extra_texts: tuple[tuple[str, str], ...]
    """Texts that a workflow draws, each with what it is referred to by."""
    replication: Replication | None = None
    """The image that is to be made again, where the request asks for that."""


@dataclass(frozen=True, slots=True)
class NoJob:
    """There is no work that this worker may have."""

    worker_id: UUID
    skipped: int = 0
    """Waiting requests that it was not given because of words in their prompts."""
