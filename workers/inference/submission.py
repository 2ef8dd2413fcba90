"""Delivering a finished batch: each image into the blob store, then into the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

import structlog

from domain.jobs.commands import PoppedJob
from domain.return_codes import Refused
from workers.inference.finishing import FinishedImage
from workers.inference.workplace import Workplace

_log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 1.0


def deliver(
    job: PoppedJob,
    images: Sequence[FinishedImage],
    *,
    owner_id: UUID,
    place: Workplace,
    lost: Callable[[], bool],
) -> int:
    """Deliver a batch, and report what is missing of it as faulted; return the images taken.

    Made pictures are dear: while the lease holds, a database or disk that fails is tried again.
    Images that the ledger has already are passed over, so that delivering twice is no harm.

    :param lost: whether the lease is over, so that trying again is no use.
    :raises Exception: the last error, when it did not work until the lease was over.
    """
    made = {image.image_id: image for image in images}
    delivered = 0
    for image_id in job.image_ids:
        try:
            if image_id in made:
                _patiently(partial(_submit, made[image_id], owner_id, place), place, lost)
            else:
                fault = partial(place.jobs.fault_image, image_id, owner_id=owner_id)
                _patiently(fault, place, lost)
        except Refused as refusal:
            log = _log.bind(job=str(job.job_id), image=str(image_id))
            if refusal.code.name != "DuplicateGen":
                log.warning("image refused", rc=refusal.code.name)
                return delivered
            log.info("image was there already")
        else:
            delivered += image_id in made
    return delivered


def _submit(image: FinishedImage, owner_id: UUID, place: Workplace) -> None:
    digest = place.blobs.put(image.file)
    place.jobs.submit_image(
        image.image_id,
        owner_id=owner_id,
        digest=digest,
        seed=image.seed,
        state=image.state,
        metadata=image.metadata,
        provenance=image.making,
    )


def _patiently(action: Callable[[], None], place: Workplace, lost: Callable[[], bool]) -> None:
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
            _log.warning("delivery is tried again", error=type(error).__name__)
        place.pause(_PAUSE_SECONDS)
