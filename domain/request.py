"""A request: what a front-end asked for, how it was sliced into jobs, and how it ended."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from eventsourcing.domain import Aggregate

from domain.batching import images_for
from domain.image_settings import ImageSettings
from domain.lifetimes import LOSSES_PER_IMAGE
from domain.matching import Requirements
from domain.personal import Sealed
from domain.sampling import seed_of_job


class RequestState(StrEnum):
    """Where a request stands; all but the first are final."""

    OPEN = "open"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAULTED = "faulted"


class Request(Aggregate):
    """What AI Horde calls a waiting prompt: images wanted, and the jobs that make them.

    Every image is in exactly one place: waiting here, held by an open job, delivered, or (only once
    the request is over) abandoned. A job that ends without some of its images returns them.
    """

    TOPIC = "Request"

    class Event(Aggregate.Event):
        """Something that happened to a request."""

    class Created(Event, Aggregate.Created):
        """What the library wants a first event to be; never stored by itself."""

        TOPIC = "Request.Created"

    class Submitted(Created):
        """A front-end asked for images."""

        TOPIC = "Request.Submitted"
        account_id: UUID
        images: int
        settings: ImageSettings
        requirements: Requirements
        prompt: Sealed
        negative_prompt: Sealed | None
        client_address: Sealed | None
        client_agent: str
        seed: int | None
        """None: every job gets a seed of its own, drawn when it is sliced."""
        seed_variation: int
        disable_batching: bool
        shared: bool
        r2: bool
        """Whether status answers with addresses (true) or base64."""
        priority: float
        """Higher is served first."""
        kudos: float
        """What the request burns when all of it is made."""
        expires_at: datetime

    class Sliced(Event):
        """A worker got a slice as one job; the figures that led to its size stand here."""

        TOPIC = "Request.Sliced"
        job_id: UUID
        job_number: int
        """0 for the first job of the request."""
        images: int
        remaining: int
        """Images that still wait after this slice."""
        worker_id: UUID
        amount: int
        """What the worker declared as images per batch."""
        max_pixels: int
        """What the worker declared as its largest image."""
        expires_at: datetime

        def apply(self, aggregate: Request) -> None:
            """Hand the slice's images to the job."""
            aggregate.remaining -= self.images
            aggregate.open_jobs[self.job_id] = self.images
            aggregate.jobs_sliced += 1

    class JobReturned(Event):
        """A job ended: what it delivered stays, what it lost waits again."""

        TOPIC = "Request.JobReturned"
        job_id: UUID
        delivered: int
        lost: int
        expires_at: datetime

        def apply(self, aggregate: Request) -> None:
            """Take the job's images back, each to its place."""
            del aggregate.open_jobs[self.job_id]
            aggregate.delivered += self.delivered
            aggregate.remaining += self.lost
            aggregate.lost += self.lost

    class Ended(Event):
        """What all endings have in common; never stored by itself."""

        TOPIC = "Request.Ended"

    class Completed(Ended):
        """Every image was delivered."""

        TOPIC = "Request.Completed"

        def apply(self, aggregate: Request) -> None:
            """Close the request."""
            aggregate.close(RequestState.COMPLETED, abandoned=0)

    class Cancelled(Ended):
        """The client wanted no more of it."""

        TOPIC = "Request.Cancelled"
        abandoned: int
        """Images that were never delivered."""

        def apply(self, aggregate: Request) -> None:
            """Close the request."""
            aggregate.close(RequestState.CANCELLED, self.abandoned)

    class Expired(Ended):
        """Nothing happened to it for too long."""

        TOPIC = "Request.Expired"
        abandoned: int
        """Images that were never delivered."""

        def apply(self, aggregate: Request) -> None:
            """Close the request."""
            aggregate.close(RequestState.EXPIRED, self.abandoned)

    class Faulted(Ended):
        """Its images were lost too often to try again."""

        TOPIC = "Request.Faulted"
        abandoned: int
        """Images that were never delivered."""
        lost: int
        """How many images its jobs lost, all tries together."""

        def apply(self, aggregate: Request) -> None:
            """Close the request."""
            aggregate.close(RequestState.FAULTED, self.abandoned)

    def __init__(
        self,
        account_id: UUID,
        images: int,
        settings: ImageSettings,
        requirements: Requirements,
        prompt: Sealed,
        negative_prompt: Sealed | None,
        seed: int | None,
        seed_variation: int,
        disable_batching: bool,
        r2: bool,
    ) -> None:
        """Start with every image waiting; called with the facts of :class:`Submitted`."""
        self.account_id = account_id
        self.images = images
        self.settings = settings
        self.requirements = requirements
        self.prompt = prompt
        self.negative_prompt = negative_prompt
        self.seed = seed
        self.seed_variation = seed_variation
        self.disable_batching = disable_batching
        self.r2 = r2
        self.state = RequestState.OPEN
        self.remaining = images
        self.open_jobs: dict[UUID, int] = {}
        self.jobs_sliced = 0
        self.delivered = 0
        self.lost = 0

    @classmethod
    def submit(
        cls,
        request_id: UUID,
        *,
        account_id: UUID,
        images: int,
        settings: ImageSettings,
        requirements: Requirements,
        prompt: Sealed,
        negative_prompt: Sealed | None,
        client_address: Sealed | None,
        client_agent: str,
        seed: int | None,
        seed_variation: int,
        disable_batching: bool,
        shared: bool,
        r2: bool,
        priority: float,
        kudos: float,
        expires_at: datetime,
        timestamp: datetime,
    ) -> Self:
        """Return a new request with its first event pending."""
        return cls._create(
            cls.Submitted,
            id=request_id,
            account_id=account_id,
            images=images,
            settings=settings,
            requirements=requirements,
            prompt=prompt,
            negative_prompt=negative_prompt,
            client_address=client_address,
            client_agent=client_agent,
            seed=seed,
            seed_variation=seed_variation,
            disable_batching=disable_batching,
            shared=shared,
            r2=r2,
            priority=priority,
            kudos=kudos,
            expires_at=expires_at,
            timestamp=timestamp,
        )

    @property
    def is_open(self) -> bool:
        """Whether anything may still happen to it."""
        return self.state is RequestState.OPEN

    @property
    def is_waiting(self) -> bool:
        """Whether a worker could get a slice of it now."""
        return self.is_open and self.remaining > 0

    def slice(
        self,
        job_id: UUID,
        *,
        worker_id: UUID,
        amount: int,
        max_pixels: int,
        expires_at: datetime,
        timestamp: datetime,
    ) -> int:
        """Give a worker as many images as the batching rule allows it and return their number.

        :raises ValueError: when nothing waits, or the image is above the worker's maximum.
        """
        if not self.is_waiting:
            raise ValueError("nothing of this request waits")
        images = images_for(
            amount=1 if self.disable_batching else amount,
            max_pixels=max_pixels,
            width=self.settings.width,
            height=self.settings.height,
            remaining=self.remaining,
        )
        self.trigger_event(
            self.Sliced,
            job_id=job_id,
            job_number=self.jobs_sliced,
            images=images,
            remaining=self.remaining - images,
            worker_id=worker_id,
            amount=amount,
            max_pixels=max_pixels,
            expires_at=expires_at,
            timestamp=timestamp,
        )
        return images

    def seed_of_job(self, job_number: int, drawn: int) -> int:
        """Return a job's seed: from the client's seed if there is one, else the ``drawn`` one."""
        if self.seed is None:
            return drawn
        return seed_of_job(self.seed, self.seed_variation, job_number)

    def take_back(
        self, job_id: UUID, *, delivered: int, lost: int, expires_at: datetime, timestamp: datetime
    ) -> None:
        """Take a job's images back, and complete the request if that was the last one.

        A request that is over, or a job that was taken back before, is no error.
        """
        if not self.is_open or job_id not in self.open_jobs:
            return
        self.trigger_event(
            self.JobReturned,
            job_id=job_id,
            delivered=delivered,
            lost=lost,
            expires_at=expires_at,
            timestamp=timestamp,
        )
        if self.delivered == self.images:
            self.trigger_event(self.Completed, timestamp=timestamp)

    @property
    def is_beyond_hope(self) -> bool:
        """Whether its images were lost so often that it should be given up as faulted."""
        return self.is_open and self.lost > LOSSES_PER_IMAGE * self.images

    def cancel(self, *, delivered_by_open_jobs: int, timestamp: datetime) -> None:
        """End it because the client wants no more; over already is no error.

        :param delivered_by_open_jobs: images that jobs delivered which are not taken back yet.
        """
        if self.is_open:
            self.trigger_event(
                self.Cancelled,
                abandoned=self._undelivered - delivered_by_open_jobs,
                timestamp=timestamp,
            )

    def give_up(self, *, delivered_by_open_jobs: int, timestamp: datetime) -> None:
        """End it as faulted; over already is no error.

        :param delivered_by_open_jobs: images that jobs delivered which are not taken back yet.
        """
        if self.is_open:
            self.trigger_event(
                self.Faulted,
                abandoned=self._undelivered - delivered_by_open_jobs,
                lost=self.lost,
                timestamp=timestamp,
            )

    def expire(self, *, timestamp: datetime) -> None:
        """End it because nothing happened for too long; over, or in a job's hands, is no error."""
        if self.is_open and not self.open_jobs:
            self.trigger_event(self.Expired, abandoned=self._undelivered, timestamp=timestamp)

    def close(self, state: RequestState, abandoned: int) -> None:
        """Evolve into a final state; called by the events that end a request."""
        self.state = state
        self.delivered = self.images - abandoned
        self.remaining = 0
        self.open_jobs = {}

    @property
    def _undelivered(self) -> int:
        return self.images - self.delivered
