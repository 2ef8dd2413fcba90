"""Wake-ups between threads, and between processes where the broker is a Redis."""

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

from projections.following.wakeups import WakeupListener

_log = structlog.get_logger(__name__)

_REST_SECONDS = 0.01
"""Between two messages, so that a flood of commits costs a hundred messages a second and no more;
the first one after a pause goes at once."""

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_SECONDS_TO_CLOSE = 4.0
_MOST_JOBS = 1_000


@dataclass(frozen=True, slots=True)
class Step:
    """How far a job is."""

    job_id: UUID
    step: int
    steps: int


class ChannelListener(WakeupListener, Protocol):
    """What a carrier tells of what it hears."""

    def subscribed(self) -> None:
        """From now on everything is heard; what was told before this may have been missed."""


class WakeupChannel(Protocol):
    """What carries wake-ups to other processes. Each method may raise anything."""

    def send(self, changed: bool, steps: Sequence[Step]) -> None:
        """Let the other processes know; called by one thread."""

    def hear(self, ear: ChannelListener, is_wanted: Callable[[], bool]) -> None:
        """Hear the other processes for as long as that is wanted; called by another thread."""

    def disconnect(self) -> None:
        """Let go of what sending holds."""

    def forked(self) -> None:
        """Be another process from now on."""


class ProcessWakeups:
    """Wake-ups to the threads of this process, and to other processes if something carries them.

    Telling never waits and never fails. It is done by a thread of its own, which starts when there
    is something to tell to somebody: all that is told while one message is on its way becomes one
    further message, with the latest step of each job. Hearing is done by another thread for as
    long as anybody listens. While the carrier fails, the others hear nothing, and both threads try
    again at most once a second. Nobody who listened before a fork listens in the child.
    """

    _guard: threading.Condition
    _closing: threading.Event
    _hearings: dict[object, WakeupListener]
    _is_changed: bool
    _steps: dict[UUID, Step]
    _teller: threading.Thread | None
    _listener: threading.Thread | None

    def __init__(self, carrier: WakeupChannel | None = None) -> None:
        """Use this carrier; without one only this process hears."""
        self._carrier = carrier
        self._closed = False
        self._start_anew()
        _alive.add(self)

    def listen(self, hearing: WakeupListener) -> Callable[[], None]:
        """Let somebody hear; return what ends that.

        They hear of a change once all others can be heard, as something may have been missed.
        """
        ticket = object()
        with self._guard:
            if not self._closed:
                self._hearings[ticket] = hearing
                if self._carrier is not None and self._listener is None:
                    self._listener = _started(self._hear_all, "wakeups heard")
        return lambda: self._end(ticket)

    def changed(self) -> None:
        """Tell that events were committed."""
        # Read without the lock: what is not on its way yet will be, after this.
        if self._is_changed or not (self._carrier or self._hearings):
            return
        with self._guard:
            if self._is_ready_to_tell():
                self._is_changed = True
                self._guard.notify()

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        """Tell that a job made a step."""
        if not (self._carrier or self._hearings):
            return
        with self._guard:
            is_known = job_id in self._steps or len(self._steps) < _MOST_JOBS
            if is_known and self._is_ready_to_tell():
                self._steps[job_id] = Step(job_id, step, steps)
                self._guard.notify()

    def close(self) -> None:
        """Tell what is still to be told, and stop; from now on nobody hears anything."""
        with self._guard:
            self._closed = True
            self._guard.notify()
        self._closing.set()
        if self._teller is not None:
            self._teller.join(_SECONDS_TO_CLOSE)
        with self._guard:
            self._hearings.clear()

    def forked(self) -> None:
        """Be another process from now on: its threads and connections are the parent's."""
        if self._carrier is not None:
            self._carrier.forked()
        self._start_anew()

    def _start_anew(self) -> None:
        self._guard, self._closing = threading.Condition(), threading.Event()
        self._hearings, self._steps, self._is_changed = {}, {}, False
        self._teller = self._listener = None

    def _end(self, ticket: object) -> None:
        with self._guard:
            self._hearings.pop(ticket, None)

    def _is_ready_to_tell(self) -> bool:
        if self._closed:
            return False
        if self._teller is None:
            self._teller = _started(self._tell_all, "wakeups told")
        return self._teller is not None

    def _tell_all(self) -> None:
        trouble = _Trouble("told")
        while True:
            with self._guard:
                self._guard.wait_for(lambda: self._is_changed or self._steps or self._closed)
                changed, steps = self._is_changed, tuple(self._steps.values())
                # Before telling: what is told from here on may come too late for this message.
                self._is_changed, self._steps = False, {}
            if not changed and not steps:
                break
            if changed:
                self._let_hear(lambda hearing: hearing.changed())
            for each in steps:
                self._let_hear(_told_of(each))
            if self._carrier is not None and not trouble.is_fresh():
                try:
                    self._carrier.send(changed, steps)
                except Exception as error:
                    trouble.came(error)
                else:
                    trouble.is_over()
            self._closing.wait(_REST_SECONDS)
        if self._carrier is not None:
            self._carrier.disconnect()

    def _hear_all(self) -> None:
        assert self._carrier is not None
        trouble = _Trouble("heard")
        while self._is_listened_to():
            try:
                self._carrier.hear(_Fanned(self._let_hear, trouble.is_over), self._is_listened_to)
            except Exception as error:
                if self._is_listened_to():
                    trouble.came(error)
                    self._closing.wait(trouble.pause_seconds)

    def _is_listened_to(self) -> bool:
        """Whether the thread that asks goes on hearing; where not, the next listener starts one."""
        with self._guard:
            if self._listener is not threading.current_thread():
                return False
            if self._hearings and not self._closed:
                return True
            self._listener = None
            return False

    def _let_hear(self, call: Callable[[WakeupListener], None]) -> None:
        with self._guard:
            hearings = tuple(self._hearings.values())
        for hearing in hearings:
            try:
                call(hearing)
            except Exception as error:
                _log.warning("wake-up not taken", error=type(error).__name__)


class _Fanned:
    """Passes on to all who listen what comes from elsewhere."""

    def __init__(
        self,
        let_hear: Callable[[Callable[[WakeupListener], None]], None],
        on_subscribed: Callable[[], None],
    ) -> None:
        self._let_hear = let_hear
        self._on_subscribed = on_subscribed

    def subscribed(self) -> None:
        self._on_subscribed()
        self.changed()

    def changed(self) -> None:
        self._let_hear(lambda hearing: hearing.changed())

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        self._let_hear(_told_of(Step(job_id, step, steps)))


class _Trouble:
    """What is wrong with a carrier: logged when it begins and when it is over."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_there = False
        self._ends_at = 0.0
        self.pause_seconds = 0.0

    def came(self, error: Exception) -> None:
        """Note that it failed; from one time to the next the pause doubles, up to a second."""
        if not self._is_there:
            # No warning: everything works without them, only later.
            _log.info(f"wake-ups not {self._what}", error=type(error).__name__)
        self._is_there = True
        longer = max(2 * self.pause_seconds, _FIRST_PAUSE_SECONDS)
        self.pause_seconds = min(longer, _LONGEST_PAUSE_SECONDS)
        self._ends_at = time.monotonic() + self.pause_seconds

    def is_over(self) -> None:
        """Note that it works."""
        if self._is_there:
            _log.info(f"wake-ups {self._what} again")
        self._is_there = False
        self.pause_seconds = 0.0

    def is_fresh(self) -> bool:
        """Whether it failed so lately that trying again can wait."""
        return self._is_there and time.monotonic() < self._ends_at


def _told_of(step: Step) -> Callable[[WakeupListener], None]:
    return lambda hearing: hearing.progress(step.job_id, step.step, step.steps)


def _started(run: Callable[[], None], name: str) -> threading.Thread | None:
    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        # No thread can be had, or the process is ending: a wake-up may be lost.
        return None
    return thread


_alive: weakref.WeakSet[ProcessWakeups] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for wakeups in list(_alive):
        wakeups.forked()


os.register_at_fork(after_in_child=_after_fork_in_child)
