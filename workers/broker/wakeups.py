"""Wake-ups over the broker: an event that makes work wakes a worker."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Protocol, Self

import structlog
from celery import Celery
from kombu.connection import Connection

from domain.requests.request import Request
from projections.view import RecordedEvent
from workers.broker.app import WORK_QUEUE, WORK_TASK

_log = structlog.get_logger(__name__)

_SECONDS_TO_ANSWER = 2.0


def makes_work(records: Sequence[RecordedEvent]) -> bool:
    """Whether any of these events put images into the queue."""
    return any(
        isinstance(event, Request.Submitted)
        or (isinstance(event, Request.JobReturned) and event.lost > 0)
        for event in (record.event for record in records)
    )


class Sender(Protocol):
    """What carries one message to the workers."""

    def send(self) -> None:
        """Put the message where a worker finds it; any exception means that none will."""

    def close(self) -> None:
        """Let go of the connection."""


class BrokerSender:
    """Sends the message through Celery's broker, over a connection of its own."""

    def __init__(self, app: Celery, *, queue: str = WORK_QUEUE, task: str = WORK_TASK) -> None:
        """Use the app's broker; nothing is connected until the first message."""
        self._app = app
        self._queue = queue
        self._task = task
        self._connection: Connection | None = None

    def send(self) -> None:
        """Leave a message in the queue, unless one lies there unread.

        One is enough: its worker asks the ledger after this call. A worker that finds work
        wakes the next one, a sender of webhooks takes all that there is. So the queue stays
        short while all are busy.
        """
        connection = self._connection or self._connect()
        try:
            channel: Any = connection.default_channel
            waiting = channel.queue_declare(queue=self._queue, durable=True, auto_delete=False)
            if not waiting.message_count:
                self._app.send_task(
                    self._task, queue=self._queue, connection=connection, retry=False
                )
        except BaseException:
            self.close()
            raise
        self._connection = connection

    def close(self) -> None:
        """Disconnect; the next message connects again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()  # type: ignore[no-untyped-call]

    def _connect(self) -> Connection:
        options = dict(self._app.conf.broker_transport_options)
        # One attempt: who sends a wake-up can send another, and must not wait.
        options |= {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
        if options.get("visibility_timeout"):
            options["socket_timeout"] = _SECONDS_TO_ANSWER
            options["socket_connect_timeout"] = _SECONDS_TO_ANSWER
        connection: Connection = self._app.connection_for_write(
            connect_timeout=_SECONDS_TO_ANSWER, transport_options=options
        )
        return connection


class BrokerWakeup:
    """Wakes a worker. Sending returns at once and never fails; a lost wake-up is sent again later.

    The message is sent by a thread of its own, which starts with the first one; all wake-ups that
    come while one message is on its way become one further message.
    """

    def __init__(self, sender: Sender) -> None:
        """Send through ``sender``, which from now on belongs to this object's thread."""
        self._sender = sender
        self._changed = threading.Condition()
        self._is_pending = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._is_reached = True

    def send(self) -> None:
        """Let a worker know that there may be work."""
        with self._changed:
            if self._closed:
                return
            self._is_pending = True
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._send_all, name="wake-up", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Send what is pending, and stop."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(4 * _SECONDS_TO_ANSWER)

    def __enter__(self) -> Self:
        """Be closed at the end of the block."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close."""
        self.close()

    def _send_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_pending or self._closed)
                if not self._is_pending:
                    break
                # Before sending: what comes from here on may come too late for this message.
                self._is_pending = False
            self._send_one()
        self._sender.close()

    def _send_one(self) -> None:
        try:
            self._sender.send()
        except Exception as error:
            if self._is_reached:
                _log.warning("wake-up not sent", error=type(error).__name__)
            self._is_reached = False
        else:
            if not self._is_reached:
                _log.info("wake-ups are sent again")
            self._is_reached = True
