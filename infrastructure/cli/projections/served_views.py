"""The served views of an installation: name, database, state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from infrastructure.bootstrap import Hoard
from infrastructure.cli.history.log_reader import count_after
from infrastructure.cli.terminal.errors import WRONGLY_ASKED, CliError
from infrastructure.storage.database import Database
from projections.following.views import ViewFollower
from projections.view import View

MOST_COUNTED = 10_000
"""Up to how many events a lag is counted; counting reads them."""

ALL = "all"
"""Means every view."""


@dataclass(frozen=True, slots=True)
class ServedView:
    """A view and the database of its tables."""

    view: View
    database: Database
    follower: ViewFollower | None
    """Applies the log to it; None for an inline view."""

    @property
    def name(self) -> str:
        """What operators call it."""
        return self.view.name

    @property
    def changes(self) -> str:
        """When it changes, in words."""
        return "with the events" if self.follower is None else "after the events"

    def rows(self) -> int:
        """Return how many rows its tables hold."""
        with self.database.reading() as connection:
            return sum(
                connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in self.view.tables
            )


@dataclass(frozen=True, slots=True)
class ViewState:
    """The state of a view."""

    view: str
    changes: str
    position: int
    """Of the last event that it has applied."""
    behind: int
    """Events that it has not applied yet, at most :data:`MOST_COUNTED`."""
    rows: int


def views_of(hoard: Hoard) -> Sequence[ServedView]:
    """Return every view, those first that change with the events."""
    return [
        *(ServedView(view, hoard.storage.ledger_database, None) for view in hoard.inline.all),
        *(
            ServedView(follower.view, hoard.storage.view_database, follower)
            for follower in hoard.views.followers
        ),
    ]


def chosen(hoard: Hoard, name: str) -> Sequence[ServedView]:
    """Return the view of this name, or every view for :data:`ALL`.

    :raises CliError: when there is none.
    """
    views = views_of(hoard)
    found = [served for served in views if name in (served.name, ALL)]
    if not found:
        raise CliError(
            f"There is no view {name}.",
            advice=f"There are {', '.join(served.name for served in views)}; "
            f"`{ALL}` means every one.",
            exit_status=WRONGLY_ASKED,
        )
    return found


def state_of(hoard: Hoard, served: ServedView) -> ViewState:
    """Return the state of a view."""
    if served.follower is None:
        position, behind = hoard.storage.log.last_position(), 0
    else:
        position = served.follower.position()
        behind = count_after(hoard.storage.log, position, MOST_COUNTED)
    return ViewState(served.name, served.changes, position, behind, served.rows())
