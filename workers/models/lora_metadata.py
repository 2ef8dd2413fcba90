"""What is published about LoRAs' files, as a port."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from domain.models.loras import Lora


class MetadataAway(Exception):
    """Nobody can tell now; the message says why and names neither LoRA nor address."""


@dataclass(frozen=True, slots=True)
class PublishedLora:
    """One version of a LoRA, and where its file lies."""

    model_id: str
    """CivitAI's id of the model, digits."""
    version_id: str
    """CivitAI's id of the version, digits."""
    name: str
    """The model's name."""
    url: str
    """Where its file is downloaded from."""
    file_name: str
    """The file's name there."""
    size_bytes: int | None
    """About how large it is."""
    sha256: str | None
    """64 lower-case hexadecimal digits; None if nobody tells."""
    base_model: str = ""
    """What it was trained on, in CivitAI's words, such as ``SDXL 1.0``."""
    trigger_words: tuple[str, ...] = ()


class LoraFiles(Protocol):
    """Knows the files of LoRAs' versions."""

    def published(self, lora: Lora) -> PublishedLora | None:
        """Return the version that a LoRA means just now; None when there is none.

        :raises MetadataAway: when nobody can tell now.
        """

    def close(self) -> None:
        """Let go of what it holds."""
