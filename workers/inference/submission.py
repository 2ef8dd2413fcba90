"""From an engine's pictures to submitted images: checked, inspected, described, stored, sent."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import structlog

from domain.images.metadata import GenerationMetadata
from domain.images.provenance import Provenance
from domain.jobs.commands import PoppedJob
from domain.jobs.job import ImageState
from domain.return_codes import Refused
from workers.engines.protocol import Batch, BatchResult, EngineFailed, EngineImage
from workers.inference.image_files import FileProvenance, encode_webp, pixels_sha256
from workers.inference.replicas import verdict_on
from workers.inference.safety import Inspector, censorship_of, placeholder
from workers.inference.workplace import Workplace

_log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class FinishedImage:
    """One image as it is submitted."""

    image_id: UUID
    file: bytes
    """WebP."""
    seed: int
    state: ImageState
    metadata: tuple[GenerationMetadata, ...]
    making: Provenance | None
    """None for a picture that is held back: its digest would be a trace of it."""


def submit(
    job: PoppedJob,
    batch: Batch,
    made: BatchResult,
    *,
    owner_id: UUID,
    workplace: Workplace,
    lost: Callable[[], bool],
) -> int:
    """Submit the images of a batch, and fault those that are missing; return how many were taken.

    Pictures are inspected and encoded first. Each file goes into the blob store, and then its image
    into the ledger. Pictures cost much to make: while the lease holds, a failed database or disk is
    tried again. Images that the ledger has already are passed over, so that submitting twice is no
    harm.

    :param lost: whether the lease is over, so that another attempt is no use.
    :raises EngineFailed: when the engine returned what is no image of this batch, or an image
        twice: then nothing of it can be trusted to be whose it says.
    :raises Exception: whatever the inspector raises, or the last error when the images could not be
        stored until the lease was over.
    """
    images = _finish(
        job, batch, made, inspector=workplace.inspector, provenance=workplace.provenance
    )
    finished = {image.image_id: image for image in images}
    submitted = 0
    for image_id in job.image_ids:
        try:
            if image_id in finished:
                action = partial(_submit_image, finished[image_id], owner_id, workplace)
            else:
                action = partial(workplace.jobs.fault_image, image_id, owner_id=owner_id)
            _retry(action, workplace, lost)
        except Refused as refusal:
            log = _log.bind(job=str(job.job_id), image=str(image_id))
            if refusal.code.name != "DuplicateGen":
                log.warning("image refused", rc=refusal.code.name)
                return submitted
            log.info("image was there already")
        else:
            submitted += image_id in finished
    return submitted


def _submit_image(image: FinishedImage, owner_id: UUID, workplace: Workplace) -> None:
    digest = workplace.blobs.put(image.file)
    workplace.jobs.submit_image(
        image.image_id,
        owner_id=owner_id,
        digest=digest,
        seed=image.seed,
        state=image.state,
        metadata=image.metadata,
        provenance=image.making,
    )


def _retry(action: Callable[[], None], workplace: Workplace, lost: Callable[[], bool]) -> None:
    while True:
        try:
            action()
            return
        except Refused as refusal:
            if refusal.code.name != "Locked" or lost():
                raise
        except Exception as error:
            if lost():
                raise
            _log.warning("submission is retried", error=type(error).__name__)
        workplace.pause(_RETRY_SECONDS)


def _finish(
    job: PoppedJob,
    batch: Batch,
    made: BatchResult,
    *,
    inspector: Inspector | None,
    provenance: bool,
) -> tuple[FinishedImage, ...]:
    _require_own(batch, made.images)
    states = [_state_of(image, job, inspector) for image in made.images]

    def one(image: EngineImage, state: ImageState) -> FinishedImage:
        return _finished(job, batch, made, image, state, provenance=provenance)

    # The encoder leaves the interpreter's lock; a device that waits for one core is a dear one.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return tuple(pool.map(one, made.images, states))


def _require_own(batch: Batch, images: Sequence[EngineImage]) -> None:
    wanted = dict(zip(batch.image_ids, batch.indices, strict=True))
    for image in images:
        if wanted.pop(image.image_id, None) != image.batch_index:
            raise EngineFailed("the engine returned an image that is not one of this batch")


def _state_of(image: EngineImage, job: PoppedJob, inspector: Inspector | None) -> ImageState:
    if inspector is None:
        return ImageState.OK
    return inspector.inspect(image.picture, censor_nsfw=job.censor_nsfw)


def _finished(
    job: PoppedJob,
    batch: Batch,
    made: BatchResult,
    image: EngineImage,
    state: ImageState,
    *,
    provenance: bool,
) -> FinishedImage:
    is_fine = state is ImageState.OK
    making = _making_of(batch, made, image) if is_fine else None
    metadata = (*made.metadata, *censorship_of(state))
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


def _making_of(batch: Batch, made: BatchResult, image: EngineImage) -> Provenance:
    return Provenance(
        engine=made.engine,
        device=made.device,
        model_sha256=made.model_sha256,
        batch_size=batch.size,
        place=image.batch_index,
        pixels_sha256=pixels_sha256(image.picture),
        loras=made.loras,
    )


def _provenance_of(
    job: PoppedJob, batch: Batch, made: BatchResult, image: EngineImage
) -> FileProvenance:
    return FileProvenance(
        request=str(job.request_id),
        job=str(job.job_id),
        image=str(image.image_id),
        seed=batch.seed,
        batch_index=image.batch_index,
        batch_size=batch.size,
        model=batch.model,
        model_sha256=made.model_sha256,
        engine=made.engine,
    )
