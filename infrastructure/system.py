"""The machine's clock and random source, behind the ledger's ports."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from uuid import UUID, uuid4

from domain.images.sampling import SEED_RANGE


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present time in UTC."""
        return datetime.now(UTC)


class SystemRandomSource:
    """The machine's randomness."""

    def new_id(self) -> UUID:
        """Return an unguessable id."""
        return uuid4()

    def new_seed(self) -> int:
        """Return a seed from 0 to 2^32 - 1."""
        return secrets.randbelow(SEED_RANGE)
