"""A request: what a front-end asked for, how it was sliced into jobs, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Self
from uuid import UUID

from eventsourcing.domain import Aggregate

from domain.accounts.kudos import Payer, burnt_by, hundredths, kudos_from
from domain.images.sampling import seed_of_job
from domain.images.settings import ImageSettings
from domain.images.source_images import SourceImages
from domain.jobs.leases import LOSSES_PER_IMAGE
from domain.jobs.replication import Replication
from domain.requests.batching import images_for
from domain.requests.specification import Requester, RequestSpecification, Terms
from domain.sealing import Sealed
from domain.webhooks.webhook import Webhook
from domain.workers.matching import Requirements


class RequestState(StrEnum):
    """Where a request stands; all but the first are final."""

    OPEN = "open"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAULTED = "faulted"


class Request(Aggregate):
    """What AI Horde calls a waiting prompt: images wanted, and the jobs that make them.

    Every image is in exactly one place: waiting here, held by an open job, submitted, or (only once
    the request is over) abandoned. A job that ends without some of its images returns them.
    """

    TOPIC = "Request"

    class Event(Aggregate.Event):
        """Something that happened to a request."""

    class Created(Event, Aggregate.Created):
        """What the library wants a first event to be; never stored by itself."""

        TOPIC = "Request.Created"

    class Submitted(Created):
        """A front-end asked for images.

        Its fields are those of :class:`RequestSpecification`, :class:`Requester` and
        :class:`Terms`, under the same names, with the texts sealed.
        """

        TOPIC = "Request.Submitted"
        class_version = 4
        account_id: UUID
        shared_key_id: UUID | None
        images: int
        settings: ImageSettings
        requirements: Requirements
        prompt: Sealed
        negative_prompt: Sealed | None
        extra_texts: Sealed | None
        """A JSON list of pairs."""
        source: SourceImages | None
        client_address: Sealed | None
        client_agent: str
        proxied_account: Sealed | None
        seed: int | None
        """None: every job gets a seed of its own, drawn when it is sliced."""
        seed_variation: int
        disable_batching: bool
        shared: bool
        r2: bool
        censor_nsfw: bool
        priority: float
        kudos: float
        kudos_per_image: float
        held: float
        """0 for anonymous, which has no kudos."""
        expires_at: datetime
        replicates: Replication | None
        webhook: Webhook | None

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            """Nothing was held before there were balances, and all was text to image."""
            state |= {
                "shared_key_id": None,
                "extra_texts": None,
                "source": None,
                "proxied_account": None,
                "censor_nsfw": False,
                "kudos_per_image": max(0.0, state["kudos"] - 1) / state["images"],
                "held": 0.0,
            }

        @staticmethod
        def upcast_v2_v3(state: dict[str, Any]) -> None:
            """No image was made again."""
            state["replicates"] = None

        @staticmethod
        def upcast_v3_v4(state: dict[str, Any]) -> None:
            """There were no webhooks."""
            state["webhook"] = None

        def apply(self, aggregate: Request) -> None:
            """Let every image wait."""
            aggregate.submitted = self
            aggregate.remaining = self.images

    class Sliced(Event):
        """A worker got a slice as one job; the figures that led to its size stand here."""

        TOPIC = "Request.Sliced"
        class_version = 2
        job_id: UUID
        job_number: int
        """Which of the request's seeds it has, 0 for the first: see :attr:`Request.next_number`."""
        images: int
        remaining: int
        """Images that still wait after this slice."""
        worker_id: UUID
        amount: int
        """What the worker declared as images per batch."""
        max_pixels: int
        """What the worker declared as its largest image."""
        weight: float
        """How much heavier than plain text to image a pixel was taken to be."""
        expires_at: datetime

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            """Pixels were not weighed at first."""
            state["weight"] = 1.0

        def apply(self, aggregate: Request) -> None:
            """Hand the slice's images to the job."""
            aggregate.remaining -= self.images
            aggregate.open_jobs[self.job_id] = self.job_number
            aggregate.free_numbers.discard(self.job_number)
            aggregate.numbers_given = max(aggregate.numbers_given, self.job_number + 1)

    class JobReturned(Event):
        """A job ended: its submitted images stay, those that it lost wait again."""

        TOPIC = "Request.JobReturned"
        class_version = 2
        job_id: UUID
        delivered: int
        lost: int
        burnt: float
        """Kudos that the submitted images burnt of what is held."""
        payer: Payer | None
        """Whose kudos these are; None where nothing was held."""
        expires_at: datetime

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            """Nothing was burnt before there were balances."""
            state |= {"burnt": 0.0, "payer": None}

        def apply(self, aggregate: Request) -> None:
            """Count each of the job's images as submitted or as waiting."""
            number = aggregate.open_jobs.pop(self.job_id)
            if not self.delivered:
                aggregate.free_numbers.add(number)
            aggregate.delivered += self.delivered
            aggregate.remaining += self.lost
            aggregate.lost += self.lost
            aggregate.burnt += hundredths(self.burnt)

    class Ended(Event):
        """What all endings have in common; never stored by itself."""

        TOPIC = "Request.Ended"
        class_version = 2
        burnt: float
        """Kudos burnt for images that no job had returned yet."""
        refunded: float
        """Kudos of what was held that were never burnt."""
        payer: Payer | None
        """Whose kudos these are; None where nothing was held."""

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            """Nothing was held before there were balances."""
            state |= {"burnt": 0.0, "refunded": 0.0, "payer": None}

    class Completed(Ended):
        """Every image was submitted."""

        TOPIC = "Request.Completed"

        def apply(self, aggregate: Request) -> None:
            """Close the request."""
            aggregate.close(RequestState.COMPLETED, abandoned=0)

    class Cancelled(Ended):
        """The client wanted no more of it."""

        TOPIC = "Request.Cancelled"
        abandoned: int
        """Images that were never submitted."""

        def apply(self, aggregate: Request) -> None:
            """Close the request."""
            aggregate.close(RequestState.CANCELLED, self.abandoned)

    class Expired(Ended):
        """Nothing happened to it for too long."""

        TOPIC = "Request.Expired"
        abandoned: int
        """Images that were never submitted."""

        def apply(self, aggregate: Request) -> None:
            """Close the request."""
            aggregate.close(RequestState.EXPIRED, self.abandoned)

    class Faulted(Ended):
        """Its images were lost too often to be made after all."""

        TOPIC = "Request.Faulted"
        abandoned: int
        """Images that were never submitted."""
        lost: int
        """How many images its jobs lost, all jobs together."""

        def apply(self, aggregate: Request) -> None:
            """Close the request."""
            aggregate.close(RequestState.FAULTED, self.abandoned)

    def __init__(self) -> None:
        """Start with no image; :class:`Submitted` says how many wait."""
        self.submitted: Request.Submitted
        """What was asked for, by whom and on which terms: it never changes."""
        self.state = RequestState.OPEN
        self.remaining = 0
        self.open_jobs: dict[UUID, int] = {}
        """The number of each job that a worker has."""
        self.free_numbers: set[int] = set()
        """The numbers of jobs that ended without an image."""
        self.numbers_given = 0
        self.delivered = 0
        self.lost = 0
        self.burnt = 0
        """Hundredths of kudos."""

    @classmethod
    def submit(
        cls,
        request_id: UUID,
        specification: RequestSpecification,
        requester: Requester,
        terms: Terms,
        *,
        seal: Callable[[str], Sealed],
        funded: bool,
        timestamp: datetime,
    ) -> Self:
        """Return a new request with its first event pending.

        :param seal: seals a text under the requester's key.
        :param funded: whether its account had the whole price; some workers take nothing else.
        """
        facts = {**_fields(specification), **_fields(requester), **_fields(terms)}
        texts, webhook = specification.extra_texts, specification.webhook
        facts |= {
            "requirements": replace(specification.requirements, unfunded=not funded),
            "prompt": seal(specification.prompt),
            "negative_prompt": _sealed(specification.negative_prompt, seal),
            "extra_texts": _sealed(json.dumps(texts) if texts else "", seal),
            "client_address": _sealed(requester.client_address, seal),
            "proxied_account": _sealed(requester.proxied_account, seal),
            "webhook": webhook
            and Webhook(seal(webhook.address), webhook.destination, webhook.kinds),
        }
        return cls._create(cls.Submitted, id=request_id, **facts, timestamp=timestamp)

    @property
    def payer(self) -> Payer | None:
        """Whose kudos are held; None where nothing is."""
        asked = self.submitted
        return Payer(asked.account_id, asked.shared_key_id) if hundredths(asked.held) else None

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
        weight: float,
        expires_at: datetime,
        timestamp: datetime,
    ) -> int:
        """Give a worker as many images as the batching rule allows it and return their number.

        :param weight: how much heavier than plain text to image a pixel is, 1 or more.
        :raises ValueError: when nothing waits, or the image is above the worker's maximum.
        """
        if not self.is_waiting:
            raise ValueError("nothing of this request waits")
        asked = self.submitted
        images = images_for(
            amount=1 if asked.disable_batching else amount,
            max_pixels=max_pixels,
            width=asked.settings.width,
            height=asked.settings.height,
            remaining=self.remaining,
            weight=weight,
        )
        self.trigger_event(
            self.Sliced,
            job_id=job_id,
            job_number=self.next_number,
            images=images,
            remaining=self.remaining - images,
            worker_id=worker_id,
            amount=amount,
            max_pixels=max_pixels,
            weight=weight,
            expires_at=expires_at,
            timestamp=timestamp,
        )
        return images

    @property
    def next_number(self) -> int:
        """The number of the next job: that of one that was lost with all its images, if there is.

        So a lost job changes no image that was asked for. A job that submitted some of its images
        keeps its number, since another one with its seed would make those again.
        """
        return min(self.free_numbers, default=self.numbers_given)

    def seed_of_job(self, job_number: int, drawn: int) -> int:
        """Return a job's seed: from the client's seed if there is one, else the ``drawn`` one; of
        an image that is made again, the one that it was made with, whichever job it is.
        """
        asked = self.submitted
        if asked.replicates is not None:
            return asked.replicates.seed
        if asked.seed is None:
            return drawn
        return seed_of_job(asked.seed, asked.seed_variation, job_number)

    def return_job(
        self, job_id: UUID, *, delivered: int, lost: int, expires_at: datetime, timestamp: datetime
    ) -> None:
        """Take back a job's images, and complete the request if no image is missing.

        A request that is over, or a job that was returned before, is no error.
        """
        if not self.is_open or job_id not in self.open_jobs:
            return
        self.trigger_event(
            self.JobReturned,
            job_id=job_id,
            delivered=delivered,
            lost=lost,
            burnt=self._still_to_burn(delivered),
            payer=self.payer,
            expires_at=expires_at,
            timestamp=timestamp,
        )
        if self.delivered == self.submitted.images:
            self.trigger_event(self.Completed, **self._settled(0), timestamp=timestamp)

    @property
    def should_fault(self) -> bool:
        """Whether its images were lost so often that it should end as faulted."""
        return self.is_open and self.lost > LOSSES_PER_IMAGE * self.submitted.images

    def cancel(self, *, delivered_by_open_jobs: int, timestamp: datetime) -> None:
        """End it because the client wants no more; over already is no error.

        :param delivered_by_open_jobs: images that jobs submitted which are not returned yet.
        """
        if self.is_open:
            self.trigger_event(
                self.Cancelled,
                abandoned=self._undelivered - delivered_by_open_jobs,
                **self._settled(delivered_by_open_jobs),
                timestamp=timestamp,
            )

    def fault(self, *, delivered_by_open_jobs: int, timestamp: datetime) -> None:
        """End it as faulted; over already is no error.

        :param delivered_by_open_jobs: images that jobs submitted which are not returned yet.
        """
        if self.is_open:
            self.trigger_event(
                self.Faulted,
                abandoned=self._undelivered - delivered_by_open_jobs,
                lost=self.lost,
                **self._settled(delivered_by_open_jobs),
                timestamp=timestamp,
            )

    def expire(self, *, timestamp: datetime) -> None:
        """End it because nothing happened for too long; over, or in a job's hands, is no error."""
        if self.is_open and not self.open_jobs:
            self.trigger_event(
                self.Expired,
                abandoned=self._undelivered,
                **self._settled(0),
                timestamp=timestamp,
            )

    def close(self, state: RequestState, abandoned: int) -> None:
        """Evolve into a final state; called by the events that end a request."""
        self.state = state
        self.delivered = self.submitted.images - abandoned
        self.remaining = 0
        self.open_jobs = {}

    @property
    def _undelivered(self) -> int:
        return self.submitted.images - self.delivered

    def _still_to_burn(self, delivered: int) -> float:
        """Return the kudos that so many more images burn, in whole hundredths."""
        terms = self.submitted
        in_all = burnt_by(
            self.delivered + delivered, per_image=terms.kudos_per_image, held=terms.held
        )
        return kudos_from(hundredths(in_all) - self.burnt)

    def _settled(self, delivered_by_open_jobs: int) -> dict[str, float | Payer | None]:
        """Return what is burnt, what is given back, and to whom, when it ends now."""
        burnt = self._still_to_burn(delivered_by_open_jobs)
        refunded = hundredths(self.submitted.held) - self.burnt - hundredths(burnt)
        return {"burnt": burnt, "refunded": kudos_from(refunded), "payer": self.payer}


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in _field_names(value.__class__)}


@cache
def _field_names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _sealed(text: str, seal: Callable[[str], Sealed]) -> Sealed | None:
    """Seal a text; None where there is none."""
    return seal(text) if text else None
