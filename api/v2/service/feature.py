"""What the routes about the service as a whole need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from api.http.authentication import Authentication
from api.http.features import installed
from api.http.timeouts import Timeouts
from api.v2.service.documents import Documents
from api.v2.service.news import News
from domain.ledger.modes import ServiceModes
from domain.ports import Clock
from projections.backlog.reader import BacklogReader
from projections.directory.view import AccountDirectory
from projections.service.modes import ModesReader
from projections.statistics.recent import RecentStatistics
from projections.workers.presence import Presence


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFeature:
    """The service as a whole: its modes, news and load, and who is refused."""

    authentication: Authentication
    modes: ModesReader
    service_modes: ServiceModes
    """Changes them."""
    news: News
    documents: Documents
    timeouts: Timeouts
    directory: AccountDirectory
    presence: Presence
    backlog: BacklogReader
    statistics: RecentStatistics
    clock: Clock
    version: str
    """What the heartbeat says."""


Service = Annotated[ServiceFeature, Depends(installed(ServiceFeature))]
"""A handler's parameter: what it needs."""
