"""Image ids: made from their job's id, so that a submit finds its job without an index.

A job's id is random but for its last byte, which is zero; image ``i`` of its batch has the same id
with ``i + 1`` there. 114 random bits stay: ids are as unguessable as they are without this.
"""

from __future__ import annotations

from uuid import UUID

MOST_IMAGES = 20
"""The most images that one batch may hold."""

_LAST_BYTE = 0xFF


def job_id_from(random_id: UUID) -> UUID:
    """Return a job id: the random one with its last byte cleared."""
    return UUID(int=random_id.int & ~_LAST_BYTE)


def image_ids_of(job_id: UUID, images: int) -> tuple[UUID, ...]:
    """Return the ids of a job's images in batch order (1 to 20 of them).

    :raises ValueError: when ``images`` is out of range or the id is no job's.
    """
    if not 1 <= images <= MOST_IMAGES or job_id.int & _LAST_BYTE:
        raise ValueError(f"no batch of {images} images under {job_id}")
    return tuple(UUID(int=job_id.int + batch_index + 1) for batch_index in range(images))


def job_of(image_id: UUID) -> UUID:
    """Return the id of the job whose image this is."""
    return UUID(int=image_id.int & ~_LAST_BYTE)


def batch_index_of(image_id: UUID) -> int:
    """Return an image's batch index; an id that no batch can hold gives one beyond every batch."""
    batch_index = (image_id.int & _LAST_BYTE) - 1
    return batch_index if 0 <= batch_index < MOST_IMAGES else MOST_IMAGES
