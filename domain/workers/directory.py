"""Workers as the directory knows them."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from domain.workers.matching import Capabilities
from domain.workers.worker import WorkerKind


@dataclass(frozen=True, slots=True)
class WorkerEntry:
    """A worker as the directory knows it."""

    worker_id: UUID
    name: str
    owner_id: UUID
    capabilities: Capabilities
    maintenance: bool
    paused: bool
    kind: WorkerKind = WorkerKind.REMOTE
    flagged: bool = False
    """Whether it is in maintenance because it lost too many images."""
    maintenance_message: str = ""
    info: str = ""
