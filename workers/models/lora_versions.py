"""LoRA versions: as they are published, as they are recorded here, and as files on disk."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from domain.images.provenance import LoraIdentity
from domain.models.loras import Lora
from workers.models.downloads import OnDownloaded


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
    """What it was trained on, in CivitAI's words, such as ``SDXL 1.0``; else empty."""

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


class MetadataUnavailable(Exception):
    """The metadata cannot be had now; the message says why and names neither LoRA nor address."""


class MetadataAway(MetadataUnavailable):
    """Its source answers nobody: it is not reached, too slow, or asks to slow down."""


class MetadataUnusable(MetadataUnavailable):
    """Its source failed for this LoRA: by an error, or by an answer that cannot be read."""


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
    """64 lower-case hexadecimal digits; None where that is not published."""
    base_model: str = ""
    """What it was trained on, in CivitAI's words, such as ``SDXL 1.0``."""
    trigger_words: tuple[str, ...] = ()


class LoraFiles(Protocol):
    """Knows the files of LoRAs' versions."""

    def published(self, lora: Lora) -> PublishedLora | None:
        """Return the version that a LoRA means just now; None when there is none.

        :raises MetadataUnavailable: when it cannot be had now.
        """

    def close(self) -> None:
        """Let go of what it holds."""


@dataclass(frozen=True, slots=True)
class LoraRecord:
    """A version that was fetched."""

    version_id: str
    model_id: str
    name: str
    """The model's name."""
    sha256: str
    """64 lower-case hexadecimal digits."""
    base_model: str = ""
    trigger_words: tuple[str, ...] = ()
    latest_at: float | None = None
    """When it was last found to be its model's latest version, as seconds since 1970; None: never.
    """


_as_json = TypeAdapter(LoraRecord)


def read_record(path: Path) -> LoraRecord | None:
    """Return the record in a file; None when it is missing or cannot be understood."""
    try:
        return _as_json.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def write_record(path: Path, record: LoraRecord) -> None:
    """Write it down; a concurrent reader sees the old or the new, never half.

    :raises OSError: when it cannot be written.
    """
    with tempfile.NamedTemporaryFile(
        "wb", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as new:
        new.write(_as_json.dump_json(record))
    os.replace(new.name, path)
