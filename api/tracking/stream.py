"""A stream of events: what happens to one request, as Server-Sent Events for one client."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from api.tracking.hub import Hub, Opened
from api.tracking.subscription import Subscription, Updates
from domain.requests.request import Request
from domain.webhooks.notification import NotificationKind
from projections.status.fold import Generation
from projections.tracking.history import RequestHistory
from projections.tracking.notifications import (
    IMAGE,
    PROGRESS,
    QUEUED,
    notification_data,
    notification_of,
    progress_data,
)
from projections.view import RecordedEvent

QueueState = dict[str, Any]
"""The queue position of a request that waits, and how long it will wait."""

_SECONDS_TO_END = 2.0
"""When the process stops, the hub ends its streams; one that takes longer is cancelled."""

_SIGN_OF_LIFE = ServerSentEvent(comment="", sep="\n")


class Stream:
    """Sends each recorded event once, in log order, and in between how things are now.

    What is recorded has its position in the log as its id: a client that was cut off gets what
    lies above the last one that it has seen. What has no id is true for the moment.
    """

    def __init__(
        self,
        opened: Opened,
        hub: Hub,
        *,
        seen: int,
        image_of: Callable[[Generation], str],
        queue_state: Callable[[], QueueState | None],
    ) -> None:
        """Prepare; nothing is sent yet.

        :param seen: the position of the last event that the client has seen, 0 for none.
        :param image_of: returns the ``img`` of an image; may block where the request wants the
            images themselves.
        :param queue_state: returns the queue position, None when the request does not wait; may
            block.
        """
        past = opened.past
        self.subscription: Subscription = opened.subscription
        self._past = [record for record in past.records if record.position <= opened.final]
        self._history = RequestHistory(past.submitted)
        self._request_id: UUID = past.request_id
        self._hub = hub
        self._seen = seen
        self._image_of = image_of
        self._read_queue_state = queue_state
        self._waiting = 0
        self._queue_state: QueueState | None = None
        self._look_at: float = 0.0
        """When the queue position is looked up next."""
        self._steps: dict[UUID, int] = {}
        """The last step that was sent of each job."""

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing to send, now or ever: the client has seen the end."""
        return any(
            isinstance(record.event, Request.Ended) and record.position <= self._seen
            for record in self._past
        )

    async def events(self) -> AsyncIterator[ServerSentEvent]:
        """Send until the request has ended, or the subscription is over."""
        updates = Updates(self._past)
        self._past = []
        while True:
            for record in updates.records:
                event = await self._event_of(record)
                if event is not None:
                    yield event
                if isinstance(record.event, Request.Ended):
                    return
            # A stream may be open for hours: it keeps what later events need, and no more.
            self._history.records.clear()
            for event in self._progress_events(updates):
                yield event
            if self._waiting and time.monotonic() >= self._look_at:
                moved = await self._moved()
                if moved is not None:
                    yield moved
            if self.subscription.is_over:
                return
            updates = await self.subscription.updates(self._hub.timing.keep_alive)
            if not updates.records and not updates.steps and not self.subscription.is_over:
                yield _SIGN_OF_LIFE

    async def _event_of(self, record: RecordedEvent) -> ServerSentEvent | None:
        """Count a recorded event; return its notification, if the client has not seen it."""
        event = record.event
        self._history.add(record)
        match event:
            case Request.Submitted():
                self._waiting = event.images
            case Request.Sliced():
                self._waiting = event.remaining
            case Request.JobReturned():
                self._waiting += event.lost
                self._look_at = 0.0
        notification = notification_of(event, self._request_id)
        if notification is None or record.position <= self._seen:
            return None
        if notification.kind == PROGRESS and notification.step is not None:
            self._steps[notification.about] = max(
                notification.step, self._steps.get(notification.about, 0)
            )
        read_data = partial(notification_data, record, self._history, self._image_of)
        if notification.kind == IMAGE and not self._history.submitted.r2:
            data = await self._hub.read(read_data)
        else:
            data = read_data()
        if isinstance(event, Request.Submitted):
            data |= await self._look() or {}
        return _event(notification.kind, data, record.position)

    def _progress_events(self, updates: Updates) -> Iterator[ServerSentEvent]:
        for job_id, (step, steps) in updates.steps.items():
            job = self._history.batched.get(job_id)
            if job is not None and step > self._steps.get(job_id, 0):
                self._steps[job_id] = step
                yield _event(PROGRESS, progress_data(job, step, steps))

    async def _moved(self) -> ServerSentEvent | None:
        """Return the queue position, if it is another one than before."""
        before = self._queue_state
        now = await self._look()
        if now is None or now == before:
            return None
        data = {"request": self._request_id, "images": self._history.submitted.images}
        return _event(QUEUED, data | now)

    async def _look(self) -> QueueState | None:
        self._look_at = time.monotonic() + self._hub.timing.keep_alive
        self._queue_state = await self._hub.read(self._read_queue_state)
        return self._queue_state


class StreamResponse(EventSourceResponse):
    """Serves a stream, and closes its subscription however that ends."""

    def __init__(self, stream: Stream) -> None:
        """Serve this stream, which gives its own signs of life."""
        super().__init__(stream.events(), ping=0, sep="\n", shutdown_grace_period=_SECONDS_TO_END)
        self._subscription = stream.subscription

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve until the stream ends or the client goes."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._subscription.close()


def _event(kind: NotificationKind, data: object, position: int | None = None) -> ServerSentEvent:
    return ServerSentEvent(
        orjson.dumps(data).decode(),
        event=kind,
        id=None if position is None else str(position),
        sep="\n",
    )
