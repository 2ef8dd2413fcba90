"""The checks of the demo: one job, one batch, and the same status by replay."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.v2.requests.figures import whole_kudos
from domain.jobs.job import Job
from domain.requests.request import Request
from infrastructure.cli.requests.api_client import Status
from projections.status.fold import RequestStatus, evolve_all
from projections.view import RecordedEvent


@dataclass(frozen=True, slots=True)
class Slice:
    """How a request was sliced, by its own events."""

    jobs: int
    batches: tuple[int, ...]
    """Images of each batch."""
    amount: int
    """Images per batch that the first worker declared."""
    max_pixels: int
    """Pixels of the largest image that the first worker declared."""

    def is_one_batch_of(self, images: int) -> bool:
        """Whether all of the request was one job, run as one batch."""
        return self.jobs == 1 and self.batches == (images,)


@dataclass(frozen=True, slots=True)
class Compared:
    """One fact as it is served and as it is replayed."""

    fact: str
    served: object
    replayed: object

    @property
    def is_equal(self) -> bool:
        """Whether both say the same."""
        return self.served == self.replayed


def slice_of(history: Sequence[RecordedEvent]) -> Slice:
    """Return how the request of this history was sliced.

    :raises ValueError: when it was not sliced at all.
    """
    slices = [event for event in _events(history) if isinstance(event, Request.Sliced)]
    batches = [event for event in _events(history) if isinstance(event, Job.Batched)]
    if not slices:
        raise ValueError("no worker got a slice of this request")
    return Slice(
        jobs=len(slices),
        batches=tuple(len(event.image_ids) for event in batches),
        amount=slices[0].amount,
        max_pixels=slices[0].max_pixels,
    )


def replayed(history: Sequence[RecordedEvent]) -> RequestStatus:
    """Return the status that the events of a request give, from the first one on.

    :raises ValueError: when there is none.
    """
    tracked = evolve_all(None, history)
    if tracked is None:
        raise ValueError("an empty history has no status")
    return tracked.status


def compare(
    served: Status, files: Mapping[str, bytes], replay: RequestStatus
) -> Sequence[Compared]:
    """Compare what a client was served with what the events say.

    :param files: the images as they were fetched, by image id.
    """
    counts = [
        Compared(fact, getattr(served, fact), getattr(replay, fact))
        for fact in ("waiting", "processing", "finished", "restarted", "done", "faulted")
    ]
    counts.append(Compared("kudos", served.kudos, whole_kudos(replay.kudos)))
    by_id = sorted(served.generations, key=lambda image: image.id)
    recorded = sorted(replay.generations, key=lambda image: str(image.image_id))
    images = [
        Compared(
            "image ids", [image.id for image in by_id], [str(image.image_id) for image in recorded]
        ),
        Compared(
            "seeds",
            [image.seed for image in by_id],
            [str(image.seed) for image in recorded],
        ),
        Compared(
            "batch indexes",
            [image.batch_index for image in by_id],
            [image.batch_index for image in recorded],
        ),
        Compared(
            "workers, models and states",
            [(image.worker_name, image.model, image.state) for image in by_id],
            [(image.worker_name, image.model, image.state.value) for image in recorded],
        ),
        Compared(
            "SHA-256 of the files",
            [hashlib.sha256(files.get(image.id, b"")).hexdigest() for image in by_id],
            [image.digest for image in recorded],
        ),
    ]
    return [*counts, *images]


def _events(history: Sequence[RecordedEvent]) -> list[object]:
    return [recorded.event for recorded in history]
