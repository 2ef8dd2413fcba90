"""What a front-end asks the ledger for: new images, or one image again."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from domain.images.settings import ImageSettings
from domain.images.source_images import SourceImages
from domain.jobs.replication import Replication
from domain.webhooks.webhook import WebhookTarget
from domain.workers.matching import Requirements


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
    webhook: WebhookTarget | None = None
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
    webhook: WebhookTarget | None = None
    """Where its request wants to be told of."""
