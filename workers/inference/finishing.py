"""Finishing: what came out of an engine is checked, inspected, described and made into files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from domain.images.metadata import GenerationMetadata
from domain.images.provenance import Provenance
from domain.jobs.commands import PoppedJob
from domain.jobs.job import ImageState
from workers.engines.protocol import Batch, EngineFailed, EngineImage, Made
from workers.inference.encoding import encode_webp, pixels_sha256
from workers.inference.equality import verdict_on
from workers.inference.provenance import FileProvenance
from workers.inference.safety import Inspector, placeholder, words_on


@dataclass(frozen=True, slots=True)
class FinishedImage:
    """One image as it is delivered."""

    image_id: UUID
    file: bytes
    """WebP."""
    seed: int
    state: ImageState
    metadata: tuple[GenerationMetadata, ...]
    making: Provenance | None
    """None for a picture that is held back: its digest would be a trace of it."""


def finish(
    job: PoppedJob,
    batch: Batch,
    made: Made,
    *,
    inspector: Inspector | None = None,
    provenance: bool = True,
) -> tuple[FinishedImage, ...]:
    """Return the images of a batch, ready to be delivered, in batch order.

    :param inspector: looks at each picture first; None: nobody does.
    :param provenance: whether files say how they were made.
    :raises EngineFailed: when the engine returned what is no image of this batch, or an image
        twice: then nothing of it can be trusted to be whose it says.
    :raises Exception: whatever the inspector raises.
    """
    _require_own(batch, made.images)
    states = [_state_of(image, job, inspector) for image in made.images]

    def one(image: EngineImage, state: ImageState) -> FinishedImage:
        return _finished(job, batch, made, image, state, provenance=provenance)

    # The encoder leaves the interpreter's lock; a device that waits for one core is a dear one.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return tuple(pool.map(one, made.images, states))


def _require_own(batch: Batch, images: Sequence[EngineImage]) -> None:
    wanted = dict(zip(batch.image_ids, batch.places, strict=True))
    for image in images:
        if wanted.pop(image.image_id, None) != image.place:
            raise EngineFailed("the engine returned an image that is not one of this batch")


def _state_of(image: EngineImage, job: PoppedJob, inspector: Inspector | None) -> ImageState:
    if inspector is None:
        return ImageState.OK
    return inspector.inspect(image.picture, censor_nsfw=job.censor_nsfw)


def _finished(
    job: PoppedJob,
    batch: Batch,
    made: Made,
    image: EngineImage,
    state: ImageState,
    *,
    provenance: bool,
) -> FinishedImage:
    is_fine = state is ImageState.OK
    making = _making_of(batch, made, image) if is_fine else None
    metadata = (*made.words, *words_on(state))
    if making is not None and job.replication is not None:
        metadata = (*metadata, verdict_on(job.replication.making, making))
    shown = image.picture if is_fine else placeholder(image.picture)
    return FinishedImage(
        image_id=image.image_id,
        file=encode_webp(shown, _provenance_of(job, batch, made, image) if provenance else None),
        seed=batch.seed,
        state=state,
        metadata=metadata,
        making=making,
    )


def _making_of(batch: Batch, made: Made, image: EngineImage) -> Provenance:
    return Provenance(
        engine=made.engine,
        device=made.device,
        model_sha256=made.model_sha256,
        batch_size=batch.size,
        place=image.place,
        pixels_sha256=pixels_sha256(image.picture),
        loras=made.loras,
    )


def _provenance_of(job: PoppedJob, batch: Batch, made: Made, image: EngineImage) -> FileProvenance:
    return FileProvenance(
        request=str(job.request_id),
        job=str(job.job_id),
        image=str(image.image_id),
        seed=batch.seed,
        batch_index=image.place,
        batch_size=batch.size,
        model=batch.model,
        model_sha256=made.model_sha256,
        engine=made.engine,
    )
