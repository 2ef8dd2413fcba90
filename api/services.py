"""What the API is given by the composition root: everything behind the routes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from domain.ledger import Ledger
from projections.backlog import BacklogReader
from projections.directory import AccountDirectory
from projections.presence import Presence
from projections.status import StatusReader
from projections.workers import WorkersReader


class Blobs(Protocol):
    """The port to the store of images."""

    def put(self, data: bytes) -> str:
        """Store the bytes, durably, and return their SHA-256 in hexadecimal."""

    def get(self, digest: str) -> bytes:
        """Return the bytes.

        :raises LookupError: when there is no such blob, or no longer.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts that :func:`api.app.create_app` builds on."""

    ledger: Ledger
    directory: AccountDirectory
    status: StatusReader
    backlog: BacklogReader
    workers: WorkersReader
    presence: Presence
    blobs: Blobs
    digest_of: Callable[[str], str]
    """Turns an API key into the digest that the directory knows."""
    anonymous_key: str
    """The key with which anybody may ask for images."""
    public_url: str | None = None
    """What addresses of images start with, without a closing slash; None: what the client used."""
    max_body_bytes: int = 16 * 1024 * 1024
    """The largest request body, in bytes."""
    threads: int = 16
    """Requests that are worked on at a time; more wait their turn."""
    version: str = "0"
    """What the heartbeat tells."""
