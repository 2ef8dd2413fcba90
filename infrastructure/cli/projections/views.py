"""The views of an installation as operators see them: by name, with their database and state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from infrastructure.bootstrap import Hoard
from infrastructure.cli.history.reading import count_after
from infrastructure.cli.terminal.errors import WRONGLY_ASKED, CliError
from infrastructure.storage.database import Database
from projections.following.follow import Follower
from projections.view import View

MOST_COUNTED = 10_000
"""How many events that a view has yet to see are counted; counting reads them."""

ALL = "all"
"""What stands for every view."""


@dataclass(frozen=True, slots=True)
class ServedView:
    """A view and where its tables lie."""

    view: View
    database: Database
    follower: Follower | None
    """What keeps it up with the log; None where it changes together with the events."""

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
    """How far a view is."""

    view: str
    changes: str
    position: int
    """The last event of the log that it has seen."""
    behind: int
    """Events that it has yet to see, at most :data:`MOST_COUNTED`."""
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

    :raises Trouble: when there is none.
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
    """Return how far a view is."""
    if served.follower is None:
        position, behind = hoard.storage.log.last_position(), 0
    else:
        position = served.follower.position()
        behind = count_after(hoard.storage.log, position, MOST_COUNTED)
    return ViewState(served.name, served.changes, position, behind, served.rows())
