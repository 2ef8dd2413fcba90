"""The library's subscription port, for any recorder, by polling."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from threading import Event
from typing import Any

from eventsourcing.persistence import ApplicationRecorder, Notification, Subscription

_PAGE = 500


class PollingSubscription(Subscription[ApplicationRecorder]):
    """Yields the log from a position on and then waits for more, until it is stopped.

    :param interval: seconds between polls while there is nothing new, above 0.
    """

    def __init__(
        self,
        recorder: ApplicationRecorder,
        gt: int | None = None,
        topics: Sequence[str] = (),
        *,
        interval: float = 0.05,
    ) -> None:
        super().__init__(recorder, gt, topics)
        self._interval = interval
        self._page: deque[Notification] = deque()
        self._stopped = Event()

    def stop(self) -> None:
        """End the iteration; callable from any thread."""
        super().stop()
        self._stopped.set()

    def __exit__(self, *args: object, **kwargs: Any) -> None:
        super().__exit__(*args, **kwargs)

    def __next__(self) -> Notification:
        while not self._stopped.is_set():
            if self._page:
                notification = self._page.popleft()
                self._last_notification_id = notification.id
                return notification
            self._page.extend(
                self._recorder.select_notifications(
                    self._last_notification_id or 0,
                    _PAGE,
                    topics=self._topics,
                    inclusive_of_start=False,
                )
            )
            if not self._page:
                self._stopped.wait(self._interval)
        raise StopIteration
