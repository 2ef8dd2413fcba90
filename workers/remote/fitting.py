"""Whether a job that a server hands out is one that this worker offered to make."""

from __future__ import annotations

from uuid import UUID

from domain.images.source_images import SourceImages
from domain.models.catalogue import Models
from domain.requests.requirements import requirements_of
from domain.workers.matching import Candidate, Capabilities, why_not
from workers.remote.answers import Offer

_NOBODY = UUID(int=0)


def why_misfit(offer: Offer, worker: Capabilities, models: Models) -> str | None:
    """Return why this worker must not try a job, None when it may; the text is safe to log.

    Servers judge what a worker can do by the name of its software, and may be wrong about ours.

    :param models: the catalogue, which tells the families of models.
    """
    if len(offer.image_ids) > worker.amount:
        return "it has more images than this worker takes at a time"
    wanted = requirements_of(
        offer.payload.settings,
        models=(offer.model,),
        catalogue=models,
        source=_source_of(offer),
    )
    if undeclared := set(wanted.features).difference(worker.features):
        return f"this worker does not offer {', '.join(sorted(undeclared))}"
    reason = why_not(Candidate(worker_id=_NOBODY, capabilities=worker, trusted=True), wanted)
    return None if reason is None else f"this worker does not take such work: {reason}"


def _source_of(offer: Offer) -> SourceImages | None:
    # Only whether there is an image counts here, not which.
    if offer.source_image is None:
        return None
    return SourceImages(processing=offer.source_processing, image="")
