"""The views of this program, and the tables of those that follow the log."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import MetaData

from projections import (
    accounts,
    backlog_view,
    models_view,
    positions,
    presence,
    statistics,
    status_tables,
    webhook_tables,
    workers,
)
from projections.accounts import AccountsView
from projections.backlog import BacklogView
from projections.models import ModelsView
from projections.statistics import StatisticsView
from projections.status import StatusView
from projections.view import View
from projections.webhooks import WebhooksView
from projections.workers import WorkersView

INLINE_VIEWS = frozenset({"queue", "directory", "kudos", "modes", "deliveries"})
"""Names of the views that change in the transaction of the events and so have no position."""

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
        WebhooksView(),
    )
