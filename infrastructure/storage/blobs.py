"""Images by the SHA-256 of their bytes, in a folder."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import time
from pathlib import Path

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_INCOMING = "incoming"

SHARDS = 256
"""Folders of the store, by the first two digits of a digest."""

_USE_NOTED_SECONDS = 3600.0
"""Precision of the time of last use: not every read is written to disk."""

_ATTEMPTS = 5
"""Another process may delete a new file in the instant before it is locked, hardly ever twice."""


class BlobMissing(LookupError):
    """No blob has this digest."""


class BlobDamaged(BlobMissing):
    """The bytes on disk are no longer those that were put; as good as missing."""


class FolderBlobs:
    """A folder of blobs, ``aa/<digest>``, shared by any number of processes.

    A blob appears whole or not at all: it is written under ``incoming/``, synced and renamed.
    Opening the folder deletes the temporary files of killed writers.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / _INCOMING
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._delete_stale_files()

    def put(self, data: bytes) -> str:
        """Store the bytes, durably, and return their digest: 64 lower-case hex digits.

        Bytes that are there already count as used now.

        :raises OSError: when the disk is full or cannot be written.
        """
        digest = hashlib.sha256(data).hexdigest()
        path = self.path_of(digest)
        if _use(path, len(data)):
            return digest
        for _ in range(_ATTEMPTS):
            _make_folder(path.parent)
            if self._write(path, data):
                _sync_folder(path.parent)
                return digest
        raise OSError(f"blob {digest} could not be written: its folder keeps vanishing")

    def get(self, digest: str) -> bytes:
        """Return the bytes, checked against their digest; they count as used now.

        :raises BlobMissing: when there is no such blob.
        :raises BlobDamaged: when its bytes have changed.
        :raises ValueError: when this is no digest.
        """
        path = self.path_of(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise BlobMissing(f"no blob {digest}") from None
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _USE_NOTED_SECONDS:
                os.utime(path)
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

    def delete_unused(self, shard: int, seconds: float) -> int:
        """Delete blobs that were not used for so long; return how many there were.

        Blobs are shared: the same bytes are one blob, however many requests name them. So age alone
        decides, and a blob that is put again in this very moment stays.

        :param shard: which of the :data:`SHARDS` folders to look through, from 0; all of them may
            be too many at a time.
        :param seconds: at least as long as a request can live between two uses of its images.
        """
        before = time.time() - seconds
        deleted = 0
        try:
            paths = list((self._root / f"{shard:02x}").iterdir())
        except FileNotFoundError:
            return 0
        for path in paths:
            if _DIGEST.fullmatch(path.name):
                deleted += _delete_if_older(path, before)
        return deleted

    def _write(self, path: Path, data: bytes) -> bool:
        temporary = self._incoming / f"{path.name}.{secrets.token_hex(8)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            try:
                # Held until the rename: it shows that the writer is alive.
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

    def _delete_stale_files(self) -> None:
        for stale in self._incoming.iterdir():
            try:
                descriptor = os.open(stale, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                stale.unlink(missing_ok=True)
            except BlockingIOError:
                continue
            finally:
                os.close(descriptor)


def _use(path: Path, size: int) -> bool:
    """Note that a whole blob is used; false when there is none, or it is being deleted."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Not while another process decides whether to delete it; afterwards it may be gone.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        found = os.fstat(descriptor)
        if found.st_nlink == 0 or found.st_size != size:
            return False
        os.utime(descriptor)
        return True
    finally:
        os.close(descriptor)


def _delete_if_older(path: Path, before: float) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if os.fstat(descriptor).st_mtime >= before:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Checked again: the last holder of the lock may have used or replaced it.
        if os.fstat(descriptor).st_mtime >= before or not _is_at(descriptor, path):
            return False
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


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
