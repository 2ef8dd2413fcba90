"""What must become of requests and jobs, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from domain.requests.request import RequestState
from tests.property.kudos_model import ModelHold, ModelPayer


@dataclass
class ModelJob:
    request_id: UUID
    owner: int
    images: int
    ends_at: datetime
    reward: int
    batched_at: datetime
    lease: timedelta
    seed: int
    delivered: set[int] = field(default_factory=set)
    drawn: set[int] = field(default_factory=set)
    """Those of the delivered images that were not censored."""
    faulted: set[int] = field(default_factory=set)
    leased: bool = True


@dataclass
class ModelRequest:
    payer: ModelPayer
    hold: ModelHold
    images: int
    side: int
    models: tuple[str, ...]
    waiting: int
    lost: int = 0
    state: RequestState = RequestState.OPEN
    idle_since: datetime | None = None
    seed: int | None = None
    """Of an image that is made again, the seed that made it."""
