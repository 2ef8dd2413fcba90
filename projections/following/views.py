"""Followers of views: a view's rows and its position change in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from projections.following.log_follower import PORTION, LogFollower
from projections.following.positions import VIEW_POSITIONS
from projections.view import Log, RecordedEvent, View, ViewDatabase


class ViewStrategy:
    """Views of one database; those at the same position change in one transaction."""

    def __init__(self, database: ViewDatabase, views: Sequence[View]) -> None:
        """Follow with these views, whose tables lie in ``database``."""
        self._database = database
        self._views = {view.name: view for view in views}

    @property
    def names(self) -> Sequence[str]:
        """The names of the views."""
        return tuple(self._views)

    def positions(self, names: Sequence[str]) -> Mapping[str, int]:
        """Return the position of the last event that each of these views holds, 0 for none."""
        with self._database.reading() as connection:
            stored = VIEW_POSITIONS.read_many(connection, names)
        return {name: stored.get(name, 0) for name in names}

    def apply(
        self, names: Sequence[str], start: int, records: Sequence[RecordedEvent]
    ) -> Collection[str]:
        """Apply events to those of these views that are at ``start``; return which those are."""
        end = records[-1].position
        with self._database.transaction() as connection:
            if len(names) == 1:
                # It waits for the holder of the view, and keeps no other caller waiting.
                moved = VIEW_POSITIONS.move(connection, names[0], old=start, new=end)
                there = list(names) if moved else []
            else:
                free = VIEW_POSITIONS.move_many(connection, names, old=start, new=end)
                there = [name for name in names if name in free]
            for name in there:
                self._views[name].apply(connection, records)
        return there


class ViewFollower:
    """Keeps one view up with the log."""

    def __init__(self, view: View, log: Log, database: ViewDatabase) -> None:
        """Follow ``log`` with a view whose tables lie in ``database``."""
        self.view = view
        self._log = log
        self._database = database
        self._strategy = ViewStrategy(database, [view])

    def position(self) -> int:
        """Return the position of the last event that the view holds, 0 for none."""
        return self._strategy.positions([self.view.name])[self.view.name]

    def catch_up(self, limit: int = PORTION) -> int:
        """Apply up to ``limit`` events and return how many; 0 when there was nothing to do.

        :raises FollowerFailed: when the view cannot take an event; all before it are applied.
        """
        # A new one each time: another process may have moved the view since the last call.
        return LogFollower(self._log, self._strategy).catch_up(limit)

    @staticmethod
    def together(
        followers: Sequence[ViewFollower],
        on_taken: Callable[[Sequence[RecordedEvent]], None] | None = None,
    ) -> LogFollower:
        """Return what keeps all these views up with the log, which have log and database in common.

        :param on_taken: called with what the first of them applied, after the commit.
        """
        first = followers[0]
        strategy = ViewStrategy(first._database, [follower.view for follower in followers])
        return LogFollower(first._log, strategy, on_taken)
