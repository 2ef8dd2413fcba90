"""What the status of a request is, and how each event of it or of its jobs changes that.

The follower folds events into the stored row with :func:`evolve`, a reader folds what the row has
not seen yet with the same function, so both always agree.

Every image is counted once. The request's own events say how many wait; the jobs' events say which
were delivered; the rest is being processed. So it does not matter in which order the events of one
save stand in the log when they belong to different streams.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from eventsourcing.domain import Aggregate

from domain.images.metadata import GenerationMetadata
from domain.jobs.job import ImageState, Job
from domain.requests.request import Request, RequestState
from domain.workers.matching import Requirements
from projections.view import NotFollowing, RecordedEvent


@dataclass(frozen=True, slots=True)
class Generation:
    """One delivered image."""

    image_id: UUID
    job_id: UUID
    batch_index: int
    """Its batch index, 0 for the first."""
    digest: str
    """SHA-256 of the image file, hexadecimal."""
    seed: int
    state: ImageState
    worker_id: UUID
    worker_name: str
    model: str
    generated_at: datetime
    kudos: float
    """What the worker's owner earned for it."""
    position: int
    """Where its event stands in the log."""
    metadata: tuple[GenerationMetadata, ...] = ()
    """What its worker said about it."""


@dataclass(frozen=True, slots=True)
class RequestStatus:
    """Where a request stands."""

    request_id: UUID
    account_id: UUID
    images: int
    """How many were asked for."""
    waiting: int
    """Images that no job holds; 0 once the request is over."""
    finished: int
    """Images delivered; they stay, whatever becomes of their job or of the request."""
    restarted: int
    """Images that jobs lost and that waited again; one that was lost twice counts twice."""
    state: RequestState
    kudos: float
    """What the request burns when all of it is made."""
    shared: bool
    r2: bool
    priority: float
    submitted_at: datetime
    expires_at: datetime
    """When it expires if nothing happens to it."""
    pixelsteps: int
    """The work of one image: denoiser passes times pixels."""
    requirements: Requirements
    generations: tuple[Generation, ...] = ()
    """In the order of delivery; empty where only the counts were asked for."""

    @property
    def megapixelsteps(self) -> float:
        """The work of one image in millions of denoiser passes times pixels."""
        return self.pixelsteps / 1_000_000

    @property
    def is_over(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.state is not RequestState.OPEN

    @property
    def processing(self) -> int:
        """Images in the hands of workers; 0 once the request is over."""
        return 0 if self.is_over else self.images - self.finished - self.waiting

    @property
    def done(self) -> bool:
        """Whether no more images will come."""
        return self.is_over or self.finished == self.images

    @property
    def faulted(self) -> bool:
        """Whether it was given up because its images were lost too often."""
        return self.state is RequestState.FAULTED


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job of which more may come."""

    version: int
    """The last event of its stream that was counted, 0 for none."""
    worker_id: UUID | None = None
    """None until the job's own first event was counted, as are the names."""
    worker_name: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Tracked:
    """A status, and how far it has seen the streams that can change it."""

    status: RequestStatus
    version: int
    """The last event of the request's stream that was counted."""
    jobs: Mapping[UUID, OpenJob] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def versions(self) -> dict[UUID, int]:
        """The streams that can change the status, and the last event counted of each."""
        seen = {job_id: job.version for job_id, job in self.jobs.items()}
        seen[self.status.request_id] = self.version
        return seen

    def with_generations(self, generations: tuple[Generation, ...]) -> RequestStatus:
        """Return the status with these images instead of its own."""
        if self.status.generations == generations:
            return self.status
        return replace(self.status, generations=generations)


def evolve(tracked: Tracked | None, recorded: RecordedEvent) -> Tracked:
    """Return what an event makes of a request.

    :param tracked: the request so far; None before its first event.
    :param recorded: the next event of the request or of one of its jobs.
    :raises NotFollowing: when the event cannot be the next one.
    """
    event = recorded.event
    if isinstance(event, Request.Submitted):
        return _submitted(event)
    if tracked is None:
        raise NotFollowing(f"{type(event).__qualname__} of a request that was never submitted")
    if isinstance(event, Request.Event):
        return _with_request_event(tracked, event)
    if isinstance(event, Job.Event):
        return _with_job_event(tracked, event, recorded.position)
    raise NotFollowing(f"{type(event).__qualname__} concerns no request")


def evolve_all(tracked: Tracked | None, records: Iterable[RecordedEvent]) -> Tracked | None:
    """Return what several events make of a request, in this order."""
    for recorded in records:
        tracked = evolve(tracked, recorded)
    return tracked


def _submitted(event: Request.Submitted) -> Tracked:
    settings = event.settings
    return Tracked(
        RequestStatus(
            request_id=event.originator_id,
            account_id=event.account_id,
            images=event.images,
            waiting=event.images,
            finished=0,
            restarted=0,
            state=RequestState.OPEN,
            kudos=event.kudos,
            shared=event.shared,
            r2=event.r2,
            priority=event.priority,
            submitted_at=event.timestamp,
            expires_at=event.expires_at,
            pixelsteps=settings.pixelsteps,
            requirements=event.requirements,
        ),
        version=event.originator_version,
    )


ENDINGS: Mapping[type[Aggregate.Event], RequestState] = {
    Request.Completed: RequestState.COMPLETED,
    Request.Cancelled: RequestState.CANCELLED,
    Request.Expired: RequestState.EXPIRED,
    Request.Faulted: RequestState.FAULTED,
}
"""How a request stands after each of its endings."""


def _with_request_event(tracked: Tracked, event: Request.Event) -> Tracked:
    status, jobs = tracked.status, tracked.jobs
    if isinstance(event, Request.Sliced):
        status = replace(status, waiting=event.remaining, expires_at=event.expires_at)
        jobs = {event.job_id: OpenJob(version=0)} | dict(jobs)
    elif isinstance(event, Request.JobReturned):
        status = replace(
            status,
            waiting=status.waiting + event.lost,
            restarted=status.restarted + event.lost,
            expires_at=event.expires_at,
        )
    elif (ending := ENDINGS.get(type(event))) is not None:
        status = replace(status, waiting=0, state=ending)
    return Tracked(status, event.originator_version, jobs)


def _with_job_event(tracked: Tracked, event: Job.Event, position: int) -> Tracked:
    job_id, version = event.originator_id, event.originator_version
    jobs = dict(tracked.jobs)
    status = tracked.status
    if isinstance(event, Job.Batched):
        jobs[job_id] = OpenJob(version, event.worker_id, event.worker_name, event.model)
        return Tracked(status, tracked.version, jobs)
    job = jobs.get(job_id)
    if job is None:
        raise NotFollowing(f"{type(event).__qualname__} of a job that was never batched")
    if isinstance(event, Job.Ended):
        del jobs[job_id]
    else:
        jobs[job_id] = replace(job, version=version)
    if isinstance(event, Job.ImageGenerated):
        generation = generation_of(event, job, position)
        status = replace(
            status,
            finished=status.finished + 1,
            generations=(*status.generations, generation),
        )
    return Tracked(status, tracked.version, jobs)


def generation_of(
    event: Job.ImageGenerated, job: OpenJob | Job.Batched, position: int
) -> Generation:
    """Return an image as its own event and what is known of its job say it.

    :param position: where its event stands in the log.
    :raises NotFollowing: when nothing is known of its job yet.
    """
    if job.worker_id is None:
        raise NotFollowing("an image of a job that was never batched")
    return Generation(
        image_id=event.image_id,
        job_id=event.originator_id,
        batch_index=event.batch_index,
        digest=event.digest,
        seed=event.seed,
        state=event.state,
        worker_id=job.worker_id,
        worker_name=job.worker_name,
        model=job.model,
        generated_at=event.timestamp,
        kudos=event.kudos,
        position=position,
        metadata=tuple(event.metadata),
    )
