"""Log files of child processes: appended to, and put aside by size when a child starts."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_LARGEST_BYTES = 10 * 1024 * 1024
_KEPT = 3


def open_log(folder: Path, name: str, largest: int = _LARGEST_BYTES) -> BinaryIO:
    """Open ``folder/name.log`` for appending.

    A file of ``largest`` bytes or more becomes ``name.log.1`` first, an older one of that name
    ``name.log.2``, and so on; three are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.log"
    if path.exists() and path.stat().st_size >= largest:
        for number in range(_KEPT - 1, 0, -1):
            older = path.with_name(f"{name}.log.{number}")
            if older.exists():
                older.replace(path.with_name(f"{name}.log.{number + 1}"))
        path.replace(path.with_name(f"{name}.log.1"))
    return path.open("ab", buffering=0)
