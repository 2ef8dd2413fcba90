"""The commands that carry more than an id: what a front-end asks, what a worker says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.image_settings import ImageSettings
from domain.matching import Capabilities, Requirements
from domain.replication import Replication
from domain.source_images import SourceImages
from domain.webhook import WebhookWish
from domain.worker import WorkerKind


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
    censor_nsfw: bool = False
    source: SourceImages | None = None
    """Images that lie in the blob store already."""
    extra_texts: tuple[tuple[str, str], ...] = ()
    """Texts that a workflow draws, each with what it is referred to by."""
    shared_key_id: UUID | None = None
    """The shared key of ``account_id`` that was shown instead of its own key."""
    proxied_account: str = ""
    """Whom a service account asks for, in its own words; empty for itself."""
    priority: float = 0.0
    """Added to what is left of its account's kudos."""
    upfront: bool = False
    """Whether it is so heavy that its kudos must be there."""
    client_address: str = ""
    client_agent: str = "unknown:0:unknown"
    replicates: Replication | None = None
    """The image that is to be made again; its request has one image, and the recorded settings."""
    webhook: WebhookWish | None = None
    """Where it wants to be told of."""


@dataclass(frozen=True, slots=True)
class ReplicateImage:
    """Ask for an image that was made before."""

    account_id: UUID
    image_id: UUID
    exact: bool = False
    """Whether the same bits are wanted, which takes a batch of the recorded size."""
    shared: bool = False
    r2: bool = True
    slow_workers: bool = True
    trusted_workers: bool = False
    unsafe_ip: bool = False
    """Whether it came through a network that the operator calls unsafe."""
    shared_key_id: UUID | None = None
    """The shared key of ``account_id`` that was shown instead of its own key."""
    client_address: str = ""
    client_agent: str = "unknown:0:unknown"
    webhook: WebhookWish | None = None
    """Where its request wants to be told of."""


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
    """The model whose weights are warm in it; None where that is not known."""


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
    passed_over: int = 0
    """Waiting requests that it was not given because of words in their prompts."""
