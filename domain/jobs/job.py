"""A job: one slice of a request, run by one worker as one batch."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from eventsourcing.domain import Aggregate

from domain.accounts.account import ANONYMOUS_ID
from domain.images.metadata import GenerationMetadata
from domain.images.provenance import Provenance
from domain.jobs.image_ids import batch_index_of, image_ids_of
from domain.return_codes import Refused

PROGRESS_RECORDED_EVERY = timedelta(seconds=10)
"""A batch's progress is recorded this often at most, however fast its steps are."""


class JobState(StrEnum):
    """Where a job stands; all but the first are final."""

    LEASED = "leased"
    COMPLETED = "completed"
    FAILED = "failed"
    LEASE_EXPIRED = "lease_expired"
    CANCELLED = "cancelled"


class ImageState(StrEnum):
    """What a worker says of an image that it made; the names are the v2 API's."""

    OK = "ok"
    CENSORED = "censored"
    CSAM = "csam"


class Job(Aggregate):
    """One batch under a lease: only its worker's owner may submit, and only while leased."""

    TOPIC = "Job"

    class Event(Aggregate.Event):
        """Something that happened to a job."""

    class Created(Event, Aggregate.Created):
        """What the library wants a first event to be; never stored by itself."""

        TOPIC = "Job.Created"

    class Batched(Created):
        """A worker got the slice, to be run as one batch."""

        TOPIC = "Job.Batched"
        class_version = 2
        request_id: UUID
        account_id: UUID
        """The account of the request."""
        worker_id: UUID
        worker_name: str
        owner_id: UUID
        """The account that runs the worker."""
        model: str
        image_ids: tuple[UUID, ...]
        """In batch order: image ``i`` is the one of batch index ``i``."""
        seed: int
        """The batch's seed; an image's starting noise is a function of it and the batch index."""
        lease_ends_at: datetime
        kudos_per_image: float
        pixelsteps: int
        """The work of one image: denoiser passes times pixels."""

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            """Who asked stood on the request alone."""
            state["account_id"] = str(ANONYMOUS_ID)

    class ImageGenerated(Event):
        """The worker submitted one image; the image itself lies in the blob store."""

        TOPIC = "Job.ImageGenerated"
        class_version = 3
        image_id: UUID
        batch_index: int
        digest: str
        """SHA-256 of the image file, hexadecimal."""
        seed: int
        """What the worker says it used."""
        state: ImageState
        kudos: float
        """What the worker's owner earns for it."""
        owner_id: UUID | None
        """The account that earns it; None from before there were balances."""
        metadata: tuple[GenerationMetadata, ...]
        """What the worker said about it."""
        making: Provenance | None
        """How it was made; None where the worker did not report it."""

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            """What workers said was not kept at first, and what they earned was in no balance."""
            state |= {"metadata": [], "owner_id": None}

        @staticmethod
        def upcast_v2_v3(state: dict[str, Any]) -> None:
            """It was not recorded how an image was made."""
            state["making"] = None

        def apply(self, aggregate: Job) -> None:
            """Count the image as submitted."""
            aggregate.delivered.add(self.batch_index)
            aggregate.generated[self.batch_index] = self

    class ImageFaulted(Event):
        """The worker could not make this one image."""

        TOPIC = "Job.ImageFaulted"
        image_id: UUID
        batch_index: int

        def apply(self, aggregate: Job) -> None:
            """Count the image as lost."""
            aggregate.faulted.add(self.batch_index)

    class LeaseRenewed(Event):
        """The worker showed progress, so its lease holds for longer."""

        TOPIC = "Job.LeaseRenewed"
        lease_ends_at: datetime

        def apply(self, aggregate: Job) -> None:
            """Let the lease end later."""
            aggregate.lease_ends_at = self.lease_ends_at

    class Progressed(Event):
        """The batch came further; recorded now and then, not for each step."""

        TOPIC = "Job.Progressed"
        step: int
        """Denoising steps that are done, 1 or more."""
        steps: int
        """How many there are in all."""

        def apply(self, aggregate: Job) -> None:
            """Remember how far it is, and when that was recorded."""
            aggregate.step = self.step
            aggregate.progressed_at = self.timestamp

    class Ended(Event):
        """What all endings have in common; never stored by itself."""

        TOPIC = "Job.Ended"
        delivered: int
        lost: int
        """Images of the batch that were not submitted."""

    class Completed(Ended):
        """Every image was submitted or faulted, at least one of them submitted."""

        TOPIC = "Job.Completed"

        def apply(self, aggregate: Job) -> None:
            """Close the job."""
            aggregate.state = JobState.COMPLETED

    class Failed(Ended):
        """The worker gave the batch up."""

        TOPIC = "Job.Failed"
        reason: str

        def apply(self, aggregate: Job) -> None:
            """Close the job."""
            aggregate.state = JobState.FAILED

    class LeaseExpired(Ended):
        """The worker took longer than its lease."""

        TOPIC = "Job.LeaseExpired"

        def apply(self, aggregate: Job) -> None:
            """Close the job."""
            aggregate.state = JobState.LEASE_EXPIRED

    class Cancelled(Ended):
        """Its request was over before it was."""

        TOPIC = "Job.Cancelled"

        def apply(self, aggregate: Job) -> None:
            """Close the job."""
            aggregate.state = JobState.CANCELLED

    def __init__(
        self,
        request_id: UUID,
        worker_id: UUID,
        owner_id: UUID,
        model: str,
        image_ids: tuple[UUID, ...],
        seed: int,
        lease_ends_at: datetime,
        kudos_per_image: float,
    ) -> None:
        """Start with every image to be made; called with the facts of :class:`Batched`."""
        self.request_id = request_id
        self.worker_id = worker_id
        self.owner_id = owner_id
        self.model = model
        self.image_ids = image_ids
        self.seed = seed
        self.lease_ends_at = lease_ends_at
        self.lease = lease_ends_at - self.created_on
        """How long its first lease was, which is what each renewal gives anew."""
        self.kudos_per_image = kudos_per_image
        self.state = JobState.LEASED
        self.step = 0
        self.progressed_at: datetime = self.created_on
        self.delivered: set[int] = set()
        """The batch indexes of the images that were submitted."""
        self.generated: dict[int, Job.ImageGenerated] = {}
        """What is recorded of each submitted image, by its batch index."""
        self.faulted: set[int] = set()

    @classmethod
    def batch(
        cls,
        job_id: UUID,
        *,
        images: int,
        request_id: UUID,
        account_id: UUID,
        worker_id: UUID,
        worker_name: str,
        owner_id: UUID,
        model: str,
        seed: int,
        lease_ends_at: datetime,
        kudos_per_image: float,
        pixelsteps: int,
        timestamp: datetime,
    ) -> Self:
        """Return a new job of ``images`` images with its first event pending."""
        return cls._create(
            cls.Batched,
            id=job_id,
            request_id=request_id,
            account_id=account_id,
            worker_id=worker_id,
            worker_name=worker_name,
            owner_id=owner_id,
            model=model,
            image_ids=image_ids_of(job_id, images),
            seed=seed,
            lease_ends_at=lease_ends_at,
            kudos_per_image=kudos_per_image,
            pixelsteps=pixelsteps,
            timestamp=timestamp,
        )

    @property
    def is_leased(self) -> bool:
        """Whether results are still taken."""
        return self.state is JobState.LEASED

    def accept_image(
        self,
        image_id: UUID,
        *,
        digest: str,
        seed: int,
        state: ImageState,
        metadata: tuple[GenerationMetadata, ...] = (),
        provenance: Provenance | None = None,
        timestamp: datetime,
    ) -> float:
        """Take one finished image and return the kudos that it earns, whatever was found in it.

        :raises Refused: ``InvalidJobID``, ``DuplicateGen`` or ``AbortedGen``.
        """
        batch_index = self._open_index(image_id)
        self.trigger_event(
            self.ImageGenerated,
            image_id=image_id,
            batch_index=batch_index,
            digest=digest,
            seed=seed,
            state=state,
            kudos=self.kudos_per_image,
            owner_id=self.owner_id,
            metadata=metadata,
            making=provenance,
            timestamp=timestamp,
        )
        self._end_when_complete(timestamp)
        return self.kudos_per_image

    def fault(self, image_id: UUID, *, timestamp: datetime) -> None:
        """Note that the worker could not make one image.

        :raises Refused: ``InvalidJobID``, ``DuplicateGen`` or ``AbortedGen``.
        """
        batch_index = self._open_index(image_id)
        self.trigger_event(
            self.ImageFaulted, image_id=image_id, batch_index=batch_index, timestamp=timestamp
        )
        self._end_when_complete(timestamp)

    def fail(self, reason: str, *, timestamp: datetime) -> None:
        """Give up what was not submitted; over already is no error."""
        if self.is_leased:
            self._end(self.Failed, timestamp, reason=reason)

    def renew_lease(self, until: datetime, *, timestamp: datetime) -> None:
        """Let the lease end at ``until``, unless it ends no sooner already.

        :raises Refused: ``AbortedGen``, when the job or its lease is over.
        """
        if not self.is_leased or timestamp >= self.lease_ends_at:
            raise Refused("AbortedGen")
        if until > self.lease_ends_at:
            self.trigger_event(self.LeaseRenewed, lease_ends_at=until, timestamp=timestamp)

    def progress(self, step: int, steps: int, *, timestamp: datetime) -> None:
        """Note how far the batch is; too soon after the last time, not further, or over already is
        no news.

        :param step: denoising steps that are done.
        :param steps: how many there are in all.
        """
        if (
            self.is_leased
            and step > self.step
            and timestamp - self.progressed_at >= PROGRESS_RECORDED_EVERY
        ):
            self.trigger_event(self.Progressed, step=step, steps=steps, timestamp=timestamp)

    def expire_lease(self, *, timestamp: datetime) -> None:
        """End the lease if its time is up; over already, or not yet, is no error."""
        if self.is_leased and timestamp >= self.lease_ends_at:
            self._end(self.LeaseExpired, timestamp)

    def cancel(self, *, timestamp: datetime) -> None:
        """End it because its request is over; over already is no error."""
        if self.is_leased:
            self._end(self.Cancelled, timestamp)

    @property
    def lost(self) -> int:
        """Images of the batch that were not submitted."""
        return len(self.image_ids) - len(self.delivered)

    def require_open(self, image_id: UUID) -> None:
        """Check that this image is one of the job's that is still to come.

        :raises Refused: ``InvalidJobID``, ``DuplicateGen`` or ``AbortedGen``.
        """
        self._open_index(image_id)

    def _open_index(self, image_id: UUID) -> int:
        batch_index = batch_index_of(image_id)
        if batch_index >= len(self.image_ids):
            raise Refused("InvalidJobID")
        if batch_index in self.delivered or batch_index in self.faulted:
            raise Refused("DuplicateGen")
        if not self.is_leased:
            raise Refused("AbortedGen")
        return batch_index

    def _end_when_complete(self, timestamp: datetime) -> None:
        if len(self.delivered) + len(self.faulted) < len(self.image_ids):
            return
        if self.delivered:
            self._end(self.Completed, timestamp)
        else:
            self._end(self.Failed, timestamp, reason="every image of the batch faulted")

    def _end(self, ending: type[Ended], timestamp: datetime, **facts: str) -> None:
        self.trigger_event(
            ending, delivered=len(self.delivered), lost=self.lost, timestamp=timestamp, **facts
        )
