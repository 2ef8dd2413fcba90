"""Replicas: what has to be known of an image to make it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from domain.images.metadata import GenerationMetadata, MetadataType
from domain.images.provenance import Provenance
from domain.jobs.job import Job
from domain.models.loras import Lora, is_civitai_id


@dataclass(frozen=True, slots=True)
class Replication:
    """An image that was made in a batch, and that is to be made again from the history alone."""

    image_id: UUID
    """The image that was made."""
    batch_size: int
    """How many images its batch held, 1 to 20."""
    place: int
    """Its batch index, from 0; its starting noise is a function of the seed and this."""
    seed: int
    """The seed of its job, 0 to 2^32 - 1."""
    model: str
    """The model that its job was made with."""
    exact: bool
    """Whether the batch is to be run again in its size, so that the same bits come out, instead of
    this one image alone."""
    making: Provenance | None
    """How it was made; None where its worker did not report it."""


def replication_of(
    image: Job.ImageGenerated, job: Job, *, earlier: Replication | None, exact: bool
) -> Replication:
    """Return the replication of an image.

    :param image: what is recorded of the image.
    :param job: the job that made it.
    :param earlier: the image that it was a replica of, if it was one.
    """
    provenance = image.making
    if provenance is not None:
        batch_size, batch_index = provenance.batch_size, provenance.place
    elif earlier is not None:
        batch_size, batch_index = earlier.batch_size, earlier.place
    else:
        batch_size, batch_index = len(job.image_ids), image.batch_index
    return Replication(
        image_id=image.image_id,
        batch_size=batch_size,
        place=batch_index,
        seed=job.seed,
        model=job.model,
        exact=exact,
        making=provenance,
    )


def loras_as_made(
    loras: Sequence[Lora], provenance: Provenance | None, words: Sequence[GenerationMetadata]
) -> tuple[Lora, ...]:
    """Return a request's LoRAs by the exact versions that were loaded.

    One that could not be fetched was not loaded, and is left out. Where the record does not say
    which is which, they stay as they were asked for.

    :param words: what the worker said of the image.
    """
    if provenance is None:
        return tuple(loras)
    failed = {word.ref for word in words if word.type is MetadataType.LORA}
    loaded = [lora for lora in loras if lora.name not in failed]
    if len(loaded) != len(provenance.loras):
        return tuple(loras)
    return tuple(
        (
            replace(lora, name=file.version_id, is_version=True)
            if is_civitai_id(file.version_id)
            else lora
        )
        for lora, file in zip(loaded, provenance.loras, strict=True)
    )
