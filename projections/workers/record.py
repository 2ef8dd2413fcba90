"""A worker's record, and the row that it stands in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.workers.matching import Capabilities
from projections.sql.encoding import capabilities_from_json, capabilities_to_json
from projections.workers.tables import WORKER_RECORD

LOSSES_WITHIN = timedelta(hours=1)
"""How long lost jobs are counted together."""


_COLUMNS = [column.name for column in WORKER_RECORD.columns]


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """What is known of a worker."""

    worker_id: UUID
    name: str
    owner_id: UUID
    capabilities: Capabilities
    maintenance: bool
    paused: bool
    registered_at: datetime
    deleted: bool = False
    """Whether it was struck from the list; what it made still counts."""
    jobs: int = 0
    """Jobs that it completed."""
    uncompleted_jobs: int = 0
    """Jobs that it gave up or let run out of time."""
    images: int = 0
    pixelsteps: int = 0
    """Denoiser passes times pixels of all images that it made."""
    kudos: float = 0.0
    """What its owner earned for these images."""
    speed: float | None = None
    """Megapixelsteps a second, a moving average over its jobs; None until it completed one."""
    seconds: float = 0.0
    """How long it had its jobs in hand, until each ended."""
    last_job_at: datetime | None = None
    in_cluster: bool = False
    """Whether it is a process of the installation itself."""
    lost_lately: int = 0
    """Jobs that it lost within an hour of :attr:`losing_since`, since it was last flagged."""
    losing_since: datetime | None = None

    @property
    def megapixelsteps(self) -> float:
        """Denoiser passes times millions of pixels of all images that it made."""
        return self.pixelsteps / 1_000_000


def row_of(record: WorkerRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _COLUMNS} | {
        "capabilities": capabilities_to_json(record.capabilities)
    }


def record_from(row: Mapping[str, Any]) -> WorkerRecord:
    capabilities = capabilities_from_json(row["capabilities"])
    return WorkerRecord(**{**row, "capabilities": capabilities})
