"""What is told of a fetched LoRA, in a small file of its own, so that it can be used offline."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError


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
    """When it was last told to be its model's latest version, as seconds since 1970; None: never.
    """


_as_json = TypeAdapter(LoraRecord)


def read_record(path: Path) -> LoraRecord | None:
    """Return what a file tells; None when it is missing or cannot be understood."""
    try:
        return _as_json.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def write_record(path: Path, record: LoraRecord) -> None:
    """Write it down; whoever reads meanwhile reads the old or the new, never half.

    :raises OSError: when it cannot be written.
    """
    with tempfile.NamedTemporaryFile(
        "wb", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as new:
        new.write(_as_json.dump_json(record))
    os.replace(new.name, path)
