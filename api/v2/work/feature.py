"""What the routes of workers need: to pop, and to hand images in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Protocol
from uuid import UUID

from fastapi import Depends

from api.http.authentication import Authentication
from api.http.features import installed
from api.http.images import Blobs
from api.http.timeouts import Timeouts
from api.v2.workers.available_workers import AvailableWorkers
from api.v2.workers.messages import WorkerMessages
from domain.content_filter import ContentFilter
from domain.images.addresses import Signer
from domain.ledger.jobs import Jobs
from domain.models.catalogue import Models, UnknownModels
from projections.backlog.reader import BacklogReader
from projections.service.modes import ModesReader
from projections.workers.presence import Presence


class Uploads(Protocol):
    """The port to what workers uploaded and did not submit yet."""

    def digest_of(self, image_id: UUID) -> str | None:
        """Return the SHA-256 of the blob that was uploaded as this image, if one was."""

    def keep(self, image_id: UUID, digest: str) -> bool:
        """Note an upload; false when another blob was uploaded as this image before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PopFeature:
    """Popping: what a worker may have, and what it gets."""

    authentication: Authentication
    timeouts: Timeouts
    jobs: Jobs
    modes: ModesReader
    catalogue: Models
    """The catalogue of models."""
    unknown_models: UnknownModels
    """What becomes of models that the catalogue lacks."""
    content_filter: ContentFilter
    presence: Presence
    available_workers: AvailableWorkers
    workers_per_address: int
    """Workers at one address beyond which untrusted accounts may add none; 0: any number."""
    address_digest: Callable[[str], str]
    """Computes the keyed digest of a network address."""
    backlog: BacklogReader
    messages: WorkerMessages
    blobs: Blobs
    signer: Signer
    public_url: str | None
    """What upload addresses start with; None: what the worker used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionFeature:
    """Submissions: images that workers hand in."""

    authentication: Authentication
    jobs: Jobs
    blobs: Blobs
    uploads: Uploads
    signer: Signer


Pop = Annotated[PopFeature, Depends(installed(PopFeature))]
"""A handler's parameter: what it needs."""

Submission = Annotated[SubmissionFeature, Depends(installed(SubmissionFeature))]
"""A handler's parameter: what it needs."""
