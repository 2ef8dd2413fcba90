"""A world under the tests' control: its time stands still until moved, its chance repeats."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.images.sampling import SEED_RANGE


class ManualClock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def advance(self, by: timedelta) -> None:
        self.time += by


class SeededRandomSource:
    """Randomness that is the same in every run."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def new_id(self) -> UUID:
        return UUID(int=self._random.getrandbits(128), version=4)

    def new_seed(self) -> int:
        return self._random.randrange(SEED_RANGE)
