"""What front-ends ask for: a request specification, who submits it, and the commands about both.

Each value is frozen. A field that is stored has the name that :class:`Request.Submitted` gives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.images.settings import ImageSettings
from domain.images.source_images import SourceImages
from domain.jobs.replication import Replication
from domain.webhooks.webhook import WebhookTarget
from domain.workers.matching import Requirements


@dataclass(frozen=True, slots=True)
class Requester:
    """The submitter of a request: account, network address and client."""

    account_id: UUID
    shared_key_id: UUID | None = None
    """The shared key of ``account_id`` that was shown instead of its own key."""
    client_address: str = ""
    """The network address; empty where there is none."""
    client_agent: str = "unknown:0:unknown"
    """The client, as ``name:version:contact``."""
    proxied_account: str = ""
    """Whom a service account submits it for, in its own words; empty for itself."""


@dataclass(frozen=True, slots=True)
class RequestSpecification:
    """All that a request asks for, its texts as they were written."""

    prompt: str
    negative_prompt: str
    """Empty for none."""
    settings: ImageSettings
    requirements: Requirements
    images: int = 1
    """1 to 20."""
    seed: int | None = None
    """0 to 2^32 - 1; None for a random one per job."""
    seed_variation: int = 1
    """What each further job adds to the seed, 1 to 1000."""
    disable_batching: bool = False
    """Whether each image is a job of its own."""
    shared: bool = False
    r2: bool = True
    """Whether status answers with addresses (true) or base64."""
    censor_nsfw: bool = False
    """Whether workers should censor what turns out to be adult content."""
    source: SourceImages | None = None
    """Images that lie in the blob store already; None for text to image."""
    extra_texts: tuple[tuple[str, str], ...] = ()
    """Texts that a workflow draws, each with what it is referred to by."""
    replicates: Replication | None = None
    """The image that is to be made again; its request has one image, and the recorded settings."""
    webhook: WebhookTarget | None = None
    """Where notifications of it are posted; None for nowhere."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the ledger decides about a request when it takes it."""

    kudos: float
    """What the request burns when all of it is made."""
    kudos_per_image: float
    """What each submitted image burns, unrounded."""
    expires_at: datetime
    """When it ends, unless something happens to it before."""
    priority: float = 0.0
    """Higher is served first."""
    held: float = 0.0
    """What is held of its account's kudos; no more than this is ever burnt."""


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """Put a request in the queue."""

    requester: Requester
    specification: RequestSpecification
    upfront: bool = False
    """Whether it is so heavy that its whole price must be there."""
    priority: float = 0.0
    """Added to what is left of its account's kudos."""


@dataclass(frozen=True, slots=True)
class ReplicateImage:
    """Find out what makes an image again that was made before."""

    requester: Requester
    image_id: UUID
    exact: bool = False
    """Whether the same bits are wanted, which takes a batch of the recorded size."""
    shared: bool = False
    r2: bool = True
    slow_workers: bool = True
    trusted_workers: bool = False
    unsafe_ip: bool = False
    """Whether it came through a network that the operator calls unsafe."""
    webhook: WebhookTarget | None = None
    """Where notifications of its request are posted."""
