"""A LoRA's file on disk, and why one could not be had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from domain.images.provenance import LoraIdentity
from domain.models.loras import Lora

OnDownloaded = Callable[[int, int | None], None]
"""Called with the bytes that are there and those of the whole file, if they are known; what it
raises is passed on, and the next download goes on from there."""


class LoraUnavailable(Exception):
    """A LoRA cannot be loaded; the reason is safe to record and names neither LoRA nor address."""

    def __init__(self, reason: str) -> None:
        """Say why, in a few words."""
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class LoraFile:
    """The very file that a LoRA of a request means."""

    path: Path
    name: str
    """Its path below the store's folder: how ComfyUI lists it if that is its ``models/loras``."""
    version_id: str
    """CivitAI's id of the version, digits; for a file that the operator laid there, its stem."""
    sha256: str
    """64 lower-case hexadecimal digits."""
    trigger_words: tuple[str, ...] = ()
    base_model: str = ""
    """What it was trained on, in CivitAI's words, such as ``SDXL 1.0``; empty if nobody tells."""

    @property
    def identity(self) -> LoraIdentity:
        """What goes into the history."""
        return LoraIdentity(self.version_id, self.sha256)


class LoraSource(Protocol):
    """Where engines get the files of LoRAs, as a port."""

    def fetch(self, lora: Lora, on_bytes: OnDownloaded) -> LoraFile:
        """Return the file, of exactly the version that is meant, downloading it if need be.

        :raises LoraUnavailable: when it cannot be had.
        """
