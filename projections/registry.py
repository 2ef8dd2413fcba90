"""The views of this program, and the tables of those that follow the log."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import MetaData

from projections.accounts import tables as accounts
from projections.accounts.apply import AccountsView
from projections.backlog import tables as backlog
from projections.backlog.apply import BacklogView
from projections.following import positions
from projections.models import tables as models
from projections.models.apply import ModelsView
from projections.statistics import tables as statistics
from projections.statistics.apply import StatisticsView
from projections.status import tables as status
from projections.status.apply import StatusView
from projections.view import View
from projections.webhooks.history import tables as webhook_tables
from projections.webhooks.history.apply import DeliveryHistoryView
from projections.workers import presence
from projections.workers import tables as workers
from projections.workers.apply import WorkersView

FOLLOWER_METADATA: Sequence[MetaData] = (
    positions.METADATA,
    presence.METADATA,
    status.METADATA,
    backlog.METADATA,
    workers.METADATA,
    accounts.METADATA,
    models.METADATA,
    statistics.METADATA,
    webhook_tables.METADATA,
)
"""Every table of the views' database."""


def follower_views() -> tuple[View, ...]:
    """Return the views that follow the log, the one that readers want freshest first."""
    return (
        StatusView(),
        BacklogView(),
        WorkersView(),
        AccountsView(),
        ModelsView(),
        StatisticsView(),
        DeliveryHistoryView(),
    )
