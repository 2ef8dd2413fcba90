"""Acknowledging to a broker that failed meanwhile."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.worker.request import Request
from kombu.asynchronous import get_event_loop


class WorkRequest(Request):  # type: ignore[misc]
    """A message on its way through a worker, which notices that its end was not recorded.

    When the connection breaks while a task runs, the acknowledgement after the task fails, and
    kombu only logs that. The message then counts as unfinished for ever; with a prefetch of one
    the worker would never ask its broker for anything again, nor notice that it is disconnected
    (the errors that celery/celery#8030 and its successors report look like this). So it has to
    connect anew, which forgets what the old connection had open.
    """

    def acknowledge(self) -> None:
        """Acknowledge, and reconnect if that failed."""
        super().acknowledge()
        self._reconnect_unless_settled()

    def reject(self, requeue: bool = False) -> None:
        """Reject, and reconnect if that failed."""
        super().reject(requeue)
        self._reconnect_unless_settled()

    def _reconnect_unless_settled(self) -> None:
        loop: Any = get_event_loop()
        if loop is not None:
            # Celery leaves the acknowledging to the loop's next round, in no certain order.
            loop.call_soon(partial(loop.call_soon, self._require_settled))

    def _require_settled(self) -> None:
        # Raised from the event loop itself: what a callback of the pool raises is only logged.
        if not self._message.acknowledged:
            raise ConnectionError("the broker did not take an acknowledgement")
