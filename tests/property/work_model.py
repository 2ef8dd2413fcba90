"""What must become of requests and jobs, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain.request import RequestState
from tests.property.kudos_model import ModelHold, ModelPayer


@dataclass
class ModelJob:
    request_id: UUID
    owner: int
    images: int
    ends_at: datetime
    reward: int
    delivered: set[int] = field(default_factory=set)
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
