"""SHA-256 of large files, computed once and stored for all processes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from workers.models.locks import locked

OnBytes = Callable[[int, int], None]
"""Called with the bytes read so far and those of the whole file; what it raises is passed on."""

_CHUNK = 4 * 1024 * 1024
_ATTEMPTS = 3
_LONGEST_WAIT_SECONDS = 3600.0

_Known = Mapping[str, tuple[str, str]]
"""Fingerprint and digest by path."""


class FileChanges(OSError):
    """A file goes on changing while it is read."""


class HashCache:
    """Digests of files, kept in a JSON file that several processes may use at a time.

    A digest counts as long as the file has the size, the time of change and the inode that it had.
    One file is read at a time, so that workers that start together do not each read them all.
    """

    def __init__(self, file: Path) -> None:
        """Remember in this file, which is made with its folder if need be."""
        self._file = file
        self._reading = file.with_name(f"{file.name}.reading")
        self._writing = file.with_name(f"{file.name}.writing")
        self._read: tuple[str, _Known] = ("", {})

    def sha256_of(self, path: Path, on_bytes: OnBytes | None = None) -> str:
        """Return a file's SHA-256, 64 lower-case hexadecimal digits.

        :param on_bytes: called with the progress, if the file has to be read.
        :raises FileChanges: while another process writes into it.
        :raises OSError: when it cannot be read, or nothing can be remembered.
        """
        known = self.known_of(path)
        if known is not None:
            return known
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with locked(self._reading, seconds=_LONGEST_WAIT_SECONDS):
            # Another process may have been faster.
            known = self.known_of(path)
            if known is not None:
                return known
            fingerprint, digest = _digest(path, on_bytes)
            self._store(path, fingerprint, digest)
            return digest

    def known_of(self, path: Path) -> str | None:
        """Return what is remembered of a file as it is now, reading none of it.

        :raises OSError: when there is no such file.
        """
        fingerprint, digest = self._known().get(_key(path), ("", ""))
        return digest if fingerprint == _fingerprint(os.stat(path)) else None

    def store(self, path: Path, digest: str) -> None:
        """Remember the digest of a file that was read just now under another name.

        :raises OSError: when there is no such file, or nothing can be remembered.
        """
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._store(path, _fingerprint(os.stat(path)), digest)

    def _known(self) -> _Known:
        try:
            version = _fingerprint(os.stat(self._file))
        except FileNotFoundError:
            return {}
        if version != self._read[0]:
            self._read = (version, _read(self._file))
        return self._read[1]

    def _store(self, path: Path, fingerprint: str, digest: str) -> None:
        with locked(self._writing, seconds=_LONGEST_WAIT_SECONDS):
            there = {key: value for key, value in self._known().items() if os.path.exists(key)}
            there[_key(path)] = (fingerprint, digest)
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=self._file.parent, prefix=".hashes.", delete=False
            ) as new:
                json.dump(there, new, indent=1)
            os.replace(new.name, self._file)


def _read(file: Path) -> _Known:
    try:
        found = json.loads(file.read_bytes())
        return {
            str(key): (str(fingerprint), str(digest))
            for key, (fingerprint, digest) in found.items()
        }
    except (ValueError, TypeError, AttributeError):
        # It can be computed anew.
        return {}


def digest_of(path: Path, on_bytes: OnBytes | None = None) -> str:
    """Read a file and return its SHA-256, 64 lower-case hexadecimal digits.

    :raises FileChanges: while another process writes into it.
    :raises OSError: when it cannot be read.
    """
    return _digest(path, on_bytes)[1]


def _digest(path: Path, on_bytes: OnBytes | None) -> tuple[str, str]:
    """Return the fingerprint and the digest of a file that does not change meanwhile."""
    for _ in range(_ATTEMPTS):
        with path.open("rb") as opened:
            before = os.fstat(opened.fileno())
            hashed, done = hashlib.sha256(), 0
            while chunk := opened.read(_CHUNK):
                hashed.update(chunk)
                done += len(chunk)
                if on_bytes is not None:
                    on_bytes(done, before.st_size)
        fingerprint = _fingerprint(before)
        if fingerprint == _fingerprint(os.stat(path)):
            return fingerprint, hashed.hexdigest()
    raise FileChanges(f"{path.name} goes on changing")


def _key(path: Path) -> str:
    return os.path.realpath(path)


def _fingerprint(status: os.stat_result) -> str:
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"
