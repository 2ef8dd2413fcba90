"""What the routes about requests need: to take them in, and to say how far they are."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends

from api.http.authentication import Authentication
from api.http.features import installed
from api.http.idempotency import KeyedDigest
from api.http.images import Blobs
from api.http.timeouts import Timeouts
from api.tracking.hub import Hub
from api.v2.webhooks.targets import WebhookTargets
from api.v2.workers.available_workers import AvailableWorkers
from domain.images.addresses import Signer
from domain.ledger.requests import Requests
from domain.models.catalogue import Models, UnknownModels
from domain.models.loras import LoraVersions
from domain.service.fetching import Fetcher
from projections.backlog.reader import BacklogReader
from projections.directory.view import AccountDirectory
from projections.service.modes import ModesReader
from projections.status.reader import StatusReader
from projections.workers.presence import Presence


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeFeature:
    """The intake of requests: who may submit one, and what it will cost and need."""

    authentication: Authentication
    timeouts: Timeouts
    modes: ModesReader
    unsafe_networks: Container[str]
    """Addresses from which not every worker takes requests."""
    keyed_digest: KeyedDigest
    ledger: Requests
    directory: AccountDirectory
    catalogue: Models
    """The catalogue of models."""
    unknown_models: UnknownModels
    """What becomes of models that the catalogue lacks."""
    loras: LoraVersions
    webhook_targets: WebhookTargets
    kudos_upfront: bool
    """Whether heavy requests need their kudos beforehand."""
    presence: Presence
    available_workers: AvailableWorkers
    backlog: BacklogReader
    blobs: Blobs
    fetcher: Fetcher
    """Fetches what lies at the addresses that strangers give."""
    inspects_images: bool
    """Whether the installation's own workers check images for adult content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressFeature:
    """How far requests are, and their images."""

    ledger: Requests
    hub: Hub
    status: StatusReader
    backlog: BacklogReader
    available_workers: AvailableWorkers
    blobs: Blobs
    signer: Signer
    public_url: str | None
    """What addresses of images start with; None: what the client used."""
    image_address_lifetime: timedelta
    """For how long the address of an image counts."""


Intake = Annotated[IntakeFeature, Depends(installed(IntakeFeature))]
"""A handler's parameter: what it needs."""

Progress = Annotated[ProgressFeature, Depends(installed(ProgressFeature))]
"""A handler's parameter: what it needs."""
