"""The views of this program, and the tables of those that follow the log."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import MetaData

from projections.accounts import view as accounts
from projections.accounts.view import AccountsView
from projections.backlog import view as backlog_view
from projections.backlog.reader import BacklogView
from projections.following import positions
from projections.models import view as models_view
from projections.models.reader import ModelsView
from projections.statistics import view as statistics
from projections.statistics.view import StatisticsView
from projections.status import tables as status_tables
from projections.status.reader import StatusView
from projections.view import View
from projections.webhooks.history import tables as webhook_tables
from projections.webhooks.history.apply import DeliveryHistoryView
from projections.workers import presence
from projections.workers import view as workers
from projections.workers.view import WorkersView

FOLLOWER_METADATA: Sequence[MetaData] = (
    positions.METADATA,
    presence.METADATA,
    status_tables.METADATA,
    backlog_view.METADATA,
    workers.METADATA,
    accounts.METADATA,
    models_view.METADATA,
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
