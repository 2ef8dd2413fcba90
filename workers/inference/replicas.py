"""Replicas: what the metadata says of an image that was made again from its history.

Clients read these texts: they stay as they are.
"""

from __future__ import annotations

from domain.images.metadata import GenerationMetadata, MetadataType, MetadataValue
from domain.images.provenance import Provenance

EQUAL = "replica: equal bit for bit to the recorded pixels"
ROUNDED = "replica: the same picture up to rounding, made without the rest of its batch"
DIFFERENT = (
    "replica: same engine, device, model and batch, and yet the pixels are not the recorded ones"
)
UNRECORDED = "replica: equality is not promised, nothing was recorded of how the image was made"
NOT_PROMISED = "replica: equality is not promised, made with another "
"""What differs follows: ``engine``, ``device``, ``model`` or ``LoRA``, separated by commas."""


def verdict_on(recorded: Provenance | None, made: Provenance) -> GenerationMetadata:
    """Compare an image that was made again with what the history says of the first one.

    :param recorded: how the first one was made, None where its worker did not say.
    """
    text = _text(recorded, made)
    return GenerationMetadata(MetadataType.INFORMATION, MetadataValue.SEE_REF, text)


def _text(recorded: Provenance | None, made: Provenance) -> str:
    if recorded is None:
        return UNRECORDED
    if made.pixels_sha256 == recorded.pixels_sha256:
        return EQUAL
    if not made.is_alike(recorded):
        return NOT_PROMISED + ", ".join(_differences(recorded, made))
    if made.batch_size != recorded.batch_size:
        return ROUNDED
    return DIFFERENT


def _differences(recorded: Provenance, made: Provenance) -> list[str]:
    differing = {
        "engine": made.engine != recorded.engine,
        "device": made.device != recorded.device,
        "model": made.model_sha256 != recorded.model_sha256,
        "LoRA": made.loras != recorded.loras,
    }
    return [name for name, differs in differing.items() if differs]
