"""The pocket: the images of the job at hand, by their SHA-256, in memory alone."""

from __future__ import annotations

import hashlib


class JobImages:
    """Holds what one job starts from and what it made, until the next job."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._files: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        """Keep the bytes and return their digest, 64 lower-case hexadecimal digits."""
        digest = hashlib.sha256(data).hexdigest()
        self._files[digest] = data
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes.

        :raises LookupError: when there are none.
        """
        return self._files[digest]

    def empty(self) -> None:
        """Let go of everything."""
        self._files.clear()
