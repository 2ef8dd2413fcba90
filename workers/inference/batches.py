"""From a job, as the ledger hands it out, to a batch, as an engine takes it."""

from __future__ import annotations

from collections.abc import Callable

from domain.images.source_images import SourceImages
from domain.jobs.commands import PoppedJob
from workers.engines.protocol import Batch, Source


class SourceMissing(Exception):
    """A source image of the job is no longer there; the message is safe to record."""


def batch_of(job: PoppedJob, read: Callable[[str], bytes]) -> Batch:
    """Return the batch that a job is run as.

    One image that is made again takes its old place, by itself or with the whole batch around it.

    :param read: returns a source image by its digest, or raises a ``LookupError``.
    :raises SourceMissing: when one of them is not there.
    """
    replication = job.replication
    if replication is None:
        places, size = tuple(range(len(job.image_ids))), len(job.image_ids)
    else:
        places, size = (replication.place,), replication.batch_size if replication.exact else 1
    return Batch(
        job_id=job.job_id,
        image_ids=job.image_ids,
        model=job.model,
        prompt=job.prompt,
        negative_prompt=job.negative_prompt,
        settings=job.settings,
        seed=job.seed,
        places=places,
        size=size,
        source=None if job.source is None else _source_of(job.source, read),
        texts=job.extra_texts,
    )


def _source_of(source: SourceImages, read: Callable[[str], bytes]) -> Source:
    try:
        return Source(
            processing=source.processing,
            image=None if source.image is None else read(source.image),
            mask=None if source.mask is None else read(source.mask),
            extra=tuple(read(extra.digest) for extra in source.extra),
        )
    except LookupError:
        raise SourceMissing("a source image is no longer there") from None
