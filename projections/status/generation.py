"""One generation as clients see it: the same in a status, a webhook and a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain.images.metadata import GenerationMetadata, MetadataType
from domain.jobs.job import ImageState
from projections.status.fold import Generation


def generation_details(made: Generation, *, img: str, images: int) -> dict[str, Any]:
    """Return what the v2 interface calls ``GenerationStable``.

    :param img: the image's address, or the image in base64.
    :param images: how many its request asked for.
    """
    return {
        "img": img,
        "seed": str(made.seed),
        "id": made.image_id,
        "censored": made.state is not ImageState.OK,
        "gen_metadata": _metadata(made.metadata, made.batch_index, images),
        "worker_id": made.worker_id,
        "worker_name": made.worker_name,
        "model": made.model,
        "state": made.state.value,
    }


def _metadata(
    words: Sequence[GenerationMetadata], batch_index: int, images: int
) -> list[dict[str, str]]:
    """Return what the worker said of an image, and what replicates it as one of its batch.

    The batch index is the ledger's own knowledge, whatever the worker said of it; the only
    image of a request had no batch.
    """
    metadata = [
        {"type": word.type.value, "value": word.value.value, "ref": word.ref or ""}
        for word in words
        if word.type is not MetadataType.BATCH_INDEX
    ]
    for word in metadata:
        if not word["ref"]:
            del word["ref"]
    if images > 1:
        metadata.append({"type": "batch_index", "value": "see_ref", "ref": str(batch_index)})
    return metadata
