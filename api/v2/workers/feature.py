"""What the routes about workers and their messages need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from api.http.authentication import Authentication
from api.http.features import installed
from api.v2.workers.messages import WorkerMessages
from domain.content_filter import ContentFilter
from domain.ledger.workers import Workers as WorkersLedger
from domain.ports import Clock, RandomSource
from domain.sealing import Sealer
from projections.directory.view import AccountDirectory
from projections.workers.presence import Presence
from projections.workers.reader import WorkersReader


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersFeature:
    """Workers: which there are, which are here now, and the messages to them."""

    authentication: Authentication
    ledger: WorkersLedger
    directory: AccountDirectory
    records: WorkersReader
    presence: Presence
    messages: WorkerMessages
    content_filter: ContentFilter
    sealer: Sealer
    clock: Clock
    random_source: RandomSource


Workers = Annotated[WorkersFeature, Depends(installed(WorkersFeature))]
"""A handler's parameter: what it needs."""
