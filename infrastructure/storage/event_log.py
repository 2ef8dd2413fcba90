"""The log as the views read it: events in their total order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import sqlalchemy.exc
from eventsourcing.persistence import IntegrityError, Notification
from sqlalchemy import Connection

from domain.jobs.job import Job
from domain.requests.request import Request
from infrastructure.storage.database import Database
from infrastructure.storage.event_mapper import EventMapper
from infrastructure.storage.event_store import EventRecorder, InlineView
from projections.following.wakeups import Wakeups
from projections.view import RecordedEvent, View

_ANNOUNCED_TOPICS = (f"{Request.TOPIC}.", f"{Job.TOPIC}.")
_ANNOUNCED = "announced"


class EventLog:
    """Reads recorded events for views, auditors, and clients that read their own writes."""

    def __init__(self, recorder: EventRecorder, mapper: EventMapper) -> None:
        """Read from a recorder."""
        self._recorder = recorder
        self._mapper = mapper

    def after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        """Return up to ``limit`` final events above ``position``, in log order."""
        page = self._recorder.select_notifications(position, limit, inclusive_of_start=False)
        return [self._recorded(notification) for notification in page]

    def committed_after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        """Return up to ``limit`` committed events above ``position``, final or not."""
        page = self._recorder.select_recorded(position, limit)
        return [self._recorded(notification) for notification in page]

    def tails(self, versions: Mapping[UUID, int]) -> Sequence[RecordedEvent]:
        """Return the events of these streams above these versions, in log order."""
        return [self._recorded(event) for event in self._recorder.select_tails(versions)]

    def last_position(self) -> int:
        """Return the position of the last final event, 0 when there is none."""
        return self._recorder.max_notification_id() or 0

    def _recorded(self, notification: Notification) -> RecordedEvent:
        return RecordedEvent(notification.id, self._mapper.to_domain_event(notification))


def applied_inline(
    views: Sequence[View], mapper: EventMapper
) -> Callable[[Connection, Sequence[Notification]], None]:
    """Return the hook that changes the inline views in the transaction of the events."""

    def apply(connection: Connection, notifications: Sequence[Notification]) -> None:
        records = [
            RecordedEvent(notification.id, mapper.to_domain_event(notification))
            for notification in notifications
        ]
        try:
            for view in views:
                view.apply(connection, records)
        except sqlalchemy.exc.IntegrityError as error:
            # Two that take one name at once violate a unique index: a lost race.
            raise IntegrityError("another transaction was first") from error

    return apply


def announcing(inline: InlineView, database: Database, wakeups: Wakeups) -> InlineView:
    """Return the hook that does what ``inline`` does, and sends a wake-up after the commit.

    One for each transaction, if it holds events of requests or jobs.
    """

    def apply(connection: Connection, notifications: Sequence[Notification]) -> None:
        inline(connection, notifications)
        notes = database.transaction_notes
        if _ANNOUNCED not in notes and any(
            each.topic.startswith(_ANNOUNCED_TOPICS) for each in notifications
        ):
            notes[_ANNOUNCED] = True
            database.after_commit(wakeups.changed)

    return apply
