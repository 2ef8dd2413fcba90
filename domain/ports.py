"""What the domain needs from outside: time, randomness and transactions."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """Return the present time, with its time zone."""


class RandomSource(Protocol):
    """Where randomness comes from."""

    def new_id(self) -> UUID:
        """Return an id that nobody can guess."""

    def new_seed(self) -> int:
        """Return a seed from 0 to 2^32 - 1."""


class Transactions(Protocol):
    """Where several reads and saves become one."""

    @property
    def in_transaction(self) -> bool:
        """Whether this thread has one open."""

    def transaction(self) -> AbstractContextManager[object]:
        """Open a transaction, or join this thread's open one; an exception undoes all of it."""
