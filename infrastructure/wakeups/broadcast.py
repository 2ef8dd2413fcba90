"""Wake-ups between threads, and between processes through a channel such as Redis."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import structlog

from domain.backoff import Backoff
from projections.following.wakeups import WakeupListener

_log = structlog.get_logger(__name__)

_MESSAGE_INTERVAL_SECONDS = 0.01
"""Between two messages, so that many commits cost at most a hundred messages a second; the first
one after a pause goes at once."""

_FIRST_BACKOFF_SECONDS = 0.05
_LONGEST_BACKOFF_SECONDS = 1.0
_SECONDS_TO_CLOSE = 4.0
_MOST_JOBS = 1_000


@dataclass(frozen=True, slots=True)
class Step:
    """The progress of a job."""

    job_id: UUID
    step: int
    steps: int


class ChannelListener(WakeupListener, Protocol):
    """Gets what a channel receives."""

    def subscribed(self) -> None:
        """The subscription is active; earlier messages may have been missed."""


class WakeupChannel(Protocol):
    """Carries wake-ups between processes. Each method may raise anything."""

    def send(self, changed: bool, steps: Sequence[Step]) -> None:
        """Send to the other processes; called by one thread."""

    def receive(self, listener: ChannelListener, is_wanted: Callable[[], bool]) -> None:
        """Receive from the other processes while that is wanted; called by another thread."""

    def disconnect(self) -> None:
        """Close the connection for sending."""

    def forked(self) -> None:
        """Start anew in a forked child."""


class ProcessWakeups:
    """Wake-ups for the threads of this process, and for other processes if there is a channel.

    Sending never waits and never fails. A thread does it, which starts with the first wake-up: all
    wake-ups during one message become one further message, with the latest step of each job.
    Another thread receives while there are listeners. While the channel fails, other processes get
    nothing, and both threads retry with a backoff of up to a second. Listeners do not survive a
    fork.
    """

    _guard: threading.Condition
    _closing: threading.Event
    _listeners: dict[object, WakeupListener]
    _is_changed: bool
    _steps: dict[UUID, Step]
    _sender_thread: threading.Thread | None
    _receiver_thread: threading.Thread | None

    def __init__(self, channel: WakeupChannel | None = None) -> None:
        """Use this channel; without one, wake-ups stay in this process."""
        self._channel = channel
        self._closed = False
        self._start_anew()
        _alive.add(self)

    def listen(self, listener: WakeupListener) -> Callable[[], None]:
        """Add a listener; return the function that removes it.

        It gets a change once the channel is subscribed, as something may have been missed.
        """
        ticket = object()
        with self._guard:
            if not self._closed:
                self._listeners[ticket] = listener
                if self._channel is not None and self._receiver_thread is None:
                    self._receiver_thread = _started(self._receive_all, "wakeups received")
        return lambda: self._end(ticket)

    def changed(self) -> None:
        """Wake the listeners: events were committed."""
        # Read without the lock: what is not on its way yet will be, after this.
        if self._is_changed or not (self._channel or self._listeners):
            return
        with self._guard:
            if self._can_send():
                self._is_changed = True
                self._guard.notify()

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        """Pass on that a job made a step."""
        if not (self._channel or self._listeners):
            return
        with self._guard:
            is_known = job_id in self._steps or len(self._steps) < _MOST_JOBS
            if is_known and self._can_send():
                self._steps[job_id] = Step(job_id, step, steps)
                self._guard.notify()

    def close(self) -> None:
        """Send what is pending, and stop; listeners get nothing from now on."""
        with self._guard:
            self._closed = True
            self._guard.notify()
        self._closing.set()
        if self._sender_thread is not None:
            self._sender_thread.join(_SECONDS_TO_CLOSE)
        with self._guard:
            self._listeners.clear()

    def forked(self) -> None:
        """Start anew in a forked child: threads and connections are the parent's."""
        if self._channel is not None:
            self._channel.forked()
        self._start_anew()

    def _start_anew(self) -> None:
        self._guard, self._closing = threading.Condition(), threading.Event()
        self._listeners, self._steps, self._is_changed = {}, {}, False
        self._sender_thread = self._receiver_thread = None

    def _end(self, ticket: object) -> None:
        with self._guard:
            self._listeners.pop(ticket, None)

    def _can_send(self) -> bool:
        if self._closed:
            return False
        if self._sender_thread is None:
            self._sender_thread = _started(self._send_all, "wakeups sent")
        return self._sender_thread is not None

    def _send_all(self) -> None:
        outage = _Outage("sent")
        while True:
            with self._guard:
                self._guard.wait_for(lambda: self._is_changed or self._steps or self._closed)
                changed, steps = self._is_changed, tuple(self._steps.values())
                # Before sending: later wake-ups may miss this message.
                self._is_changed, self._steps = False, {}
            if not changed and not steps:
                break
            if changed:
                self._call_listeners(lambda listener: listener.changed())
            for each in steps:
                self._call_listeners(_progress_call(each))
            if self._channel is not None and not outage.is_backing_off():
                try:
                    self._channel.send(changed, steps)
                except Exception as error:
                    outage.failed(error)
                else:
                    outage.ended()
            self._closing.wait(_MESSAGE_INTERVAL_SECONDS)
        if self._channel is not None:
            self._channel.disconnect()

    def _receive_all(self) -> None:
        assert self._channel is not None
        outage = _Outage("received")
        while self._is_receiver_wanted():
            try:
                self._channel.receive(
                    _FanOut(self._call_listeners, outage.ended), self._is_receiver_wanted
                )
            except Exception as error:
                if self._is_receiver_wanted():
                    outage.failed(error)
                    self._closing.wait(outage.backoff_seconds)

    def _is_receiver_wanted(self) -> bool:
        """Whether this thread should go on receiving; if not, the next listener starts another."""
        with self._guard:
            if self._receiver_thread is not threading.current_thread():
                return False
            if self._listeners and not self._closed:
                return True
            self._receiver_thread = None
            return False

    def _call_listeners(self, call: Callable[[WakeupListener], None]) -> None:
        with self._guard:
            listeners = tuple(self._listeners.values())
        for listener in listeners:
            try:
                call(listener)
            except Exception as error:
                _log.warning("wake-up listener failed", error=type(error).__name__)


class _FanOut:
    """Passes what the channel receives to all listeners."""

    def __init__(
        self,
        call_listeners: Callable[[Callable[[WakeupListener], None]], None],
        on_subscribed: Callable[[], None],
    ) -> None:
        self._call_listeners = call_listeners
        self._on_subscribed = on_subscribed

    def subscribed(self) -> None:
        self._on_subscribed()
        self.changed()

    def changed(self) -> None:
        self._call_listeners(lambda listener: listener.changed())

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        self._call_listeners(_progress_call(Step(job_id, step, steps)))


class _Outage:
    """An outage of the channel: logged at its begin and its end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_on = False
        self._retry_at = 0.0
        self._backoff = Backoff(_FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS)
        self.backoff_seconds = 0.0

    def failed(self, error: Exception) -> None:
        """Note a failure; the backoff doubles each time, up to a second."""
        if not self._is_on:
            # No warning: everything works without them, only later.
            _log.info(f"wake-ups not {self._what}", error=type(error).__name__)
        self._is_on = True
        self.backoff_seconds = self._backoff.next_pause()
        self._retry_at = time.monotonic() + self.backoff_seconds

    def ended(self) -> None:
        """Note a success."""
        if self._is_on:
            _log.info(f"wake-ups {self._what} again")
        self._is_on = False
        self._backoff.reset()

    def is_backing_off(self) -> bool:
        """Whether the next attempt should wait."""
        return self._is_on and time.monotonic() < self._retry_at


def _progress_call(step: Step) -> Callable[[WakeupListener], None]:
    return lambda listener: listener.progress(step.job_id, step.step, step.steps)


def _started(run: Callable[[], None], name: str) -> threading.Thread | None:
    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        # No thread can be started, or the process is ending: a wake-up may be lost.
        return None
    return thread


_alive: weakref.WeakSet[ProcessWakeups] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for wakeups in list(_alive):
        wakeups.forked()


os.register_at_fork(after_in_child=_after_fork_in_child)
