"""Notes that a worker submits with an image."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LONGEST_REF = 255
"""Characters of a note's ref at most."""


class MetadataType(StrEnum):
    """What the note is about; the names are the v2 API's."""

    LORA = "lora"
    TI = "ti"
    CENSORSHIP = "censorship"
    SOURCE_IMAGE = "source_image"
    SOURCE_MASK = "source_mask"
    EXTRA_SOURCE_IMAGES = "extra_source_images"
    BATCH_INDEX = "batch_index"
    INFORMATION = "information"
    AESTHETIC_SCORE = "aesthetic_score"


class MetadataValue(StrEnum):
    """What is said of it; the names are the v2 API's."""

    DOWNLOAD_FAILED = "download_failed"
    PARSE_FAILED = "parse_failed"
    BASELINE_MISMATCH = "baseline_mismatch"
    CSAM = "csam"
    NSFW = "nsfw"
    SEE_REF = "see_ref"


@dataclass(frozen=True, slots=True)
class GenerationMetadata:
    """One note on one image."""

    type: MetadataType
    value: MetadataValue
    ref: str | None = None
    """At most :data:`LONGEST_REF` characters, such as the name of a LoRA that was not loaded."""
