"""Images by the SHA-256 of their bytes, in a folder."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
from pathlib import Path

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_INCOMING = "incoming"
_ATTEMPTS = 5
"""Another process may sweep a new file in the instant before it is locked, hardly ever twice."""


class BlobMissing(LookupError):
    """No blob has this digest."""


class BlobDamaged(BlobMissing):
    """The bytes on disk are no longer those that were put; as good as missing."""


class FolderBlobs:
    """A folder of blobs, ``aa/<digest>``, shared by any number of processes.

    A blob appears whole or not at all: it is written under ``incoming/``, synced and renamed.
    Whoever opens the folder clears away what killed writers left there.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / _INCOMING
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def put(self, data: bytes) -> str:
        """Store the bytes, durably, and return their digest: 64 lower-case hex digits.

        :raises OSError: when the disk is full or cannot be written.
        """
        digest = hashlib.sha256(data).hexdigest()
        path = self.path_of(digest)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size == len(data):
                return digest
        for _ in range(_ATTEMPTS):
            _make_folder(path.parent)
            if self._write(path, data):
                _sync_folder(path.parent)
                return digest
        raise OSError(f"blob {digest} could not be written: its folder keeps vanishing")

    def get(self, digest: str) -> bytes:
        """Return the bytes, checked against their digest.

        :raises BlobMissing: when there is no such blob.
        :raises BlobDamaged: when its bytes have changed.
        :raises ValueError: when this is no digest.
        """
        try:
            data = self.path_of(digest).read_bytes()
        except FileNotFoundError:
            raise BlobMissing(f"no blob {digest}") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise BlobDamaged(f"blob {digest} is damaged")
        return data

    def path_of(self, digest: str) -> Path:
        """Where this blob lies, or would lie.

        :raises ValueError: when this is no digest: 64 lower-case hex digits.
        """
        if not _DIGEST.fullmatch(digest):
            raise ValueError("a digest has 64 lower-case hex digits")
        return self._root / digest[:2] / digest

    def exists(self, digest: str) -> bool:
        """Whether there is such a blob.

        :raises ValueError: when this is no digest.
        """
        return self.path_of(digest).is_file()

    def delete(self, digest: str) -> None:
        """Delete a blob; one that is gone already is fine.

        :raises ValueError: when this is no digest.
        """
        self.path_of(digest).unlink(missing_ok=True)

    def _write(self, path: Path, data: bytes) -> bool:
        temporary = self._incoming / f"{path.name}.{secrets.token_hex(8)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            try:
                # Held until the rename: it tells a sweeper that the writer is alive.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
                os.replace(temporary, path)
            except FileNotFoundError:
                return False
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        return True

    def _sweep(self) -> None:
        for leftover in self._incoming.iterdir():
            try:
                descriptor = os.open(leftover, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                leftover.unlink(missing_ok=True)
            except BlockingIOError:
                continue
            finally:
                os.close(descriptor)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
