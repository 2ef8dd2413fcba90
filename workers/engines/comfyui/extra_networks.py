"""LoRAs and textual inversions of a batch: found, or left out, which the metadata says.

Leaving out what cannot be had, and saying so, is what AI Horde's workers do; another version than
the one that was asked for is never taken instead.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from domain.images.metadata import LONGEST_REF, GenerationMetadata, MetadataType, MetadataValue
from domain.models.loras import Lora, TextualInversion
from workers.models.downloads import OnDownloaded
from workers.models.lora_versions import LoraFile, LoraSource, LoraUnavailable

_log = structlog.get_logger(__name__)


def fetch_loras(
    loras: Iterable[Lora],
    store: LoraSource | None,
    metadata: list[GenerationMetadata],
    on_bytes: OnDownloaded,
) -> tuple[tuple[Lora, LoraFile], ...]:
    """Return those LoRAs that can be had, each with its file, in the order given.

    :param metadata: gets an entry for each that is left out.
    :param on_bytes: called with the progress of a download; what it raises is passed on.
    """
    fetched = []
    for lora in loras:
        try:
            if store is None:
                raise LoraUnavailable("there is nowhere to get LoRAs from")
            fetched.append((lora, store.fetch(lora, on_bytes)))
        except LoraUnavailable as unavailable:
            _log.warning("a LoRA is left out", why=unavailable.reason)
            metadata.append(_left_out(MetadataType.LORA, lora.name))
    return tuple(fetched)


def find_embeddings(
    tis: Iterable[TextualInversion], installed: frozenset[str], metadata: list[GenerationMetadata]
) -> tuple[tuple[TextualInversion, str], ...]:
    """Return those textual inversions that are installed, each with the name of its file.

    :param metadata: gets an entry for each that is left out.
    """
    found = []
    for ti in tis:
        if ti.name in installed:
            found.append((ti, ti.name))
        else:
            metadata.append(_left_out(MetadataType.TI, ti.name))
    return tuple(found)


def _left_out(kind: MetadataType, name: str) -> GenerationMetadata:
    return GenerationMetadata(kind, MetadataValue.DOWNLOAD_FAILED, name[:LONGEST_REF])
