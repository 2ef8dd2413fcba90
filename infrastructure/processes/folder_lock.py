"""One ``hoard up`` for one data folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FILE = "hoard.lock"


class FolderBusy(Exception):
    """Another process works on the folder; the message says which and what to do."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder as long as the block runs; a process that dies lets go of it.

    :raises FolderBusy: when somebody else holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise FolderBusy(
                f"another `hoard up` (process {holder}) works on {folder}: "
                "stop it first, or choose another folder with --data"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)
