"""The hub: one reader of the log for all clients of this process that wait for something.

It follows the log from where it is when the first client comes, and sleeps while there is none.
Each event is handed to whoever watches its request; what came before a client did is read once, for
it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar
from uuid import UUID

import anyio
from anyio import to_thread
from eventsourcing.domain import Aggregate

from api.tracking.pace import Pace
from api.tracking.watch import Watch
from domain.jobs.job import Job
from domain.requests.request import Request
from projections.following.wakeups import Wakeups
from projections.tracking.history import RequestHistory
from projections.view import Log, RecordedEvent

_PORTION = 500
_READERS = 4
"""Clients whose past is read at a time: a crowd that comes back leaves others their turn."""

_SIDE_READERS = 2
"""Streams at a time for which something else is read, such as their place in the queue."""

_logger = logging.getLogger(__name__)

Found = TypeVar("Found")


@dataclass(slots=True)
class _Watched:
    """A request that somebody watches."""

    watches: set[Watch] = field(default_factory=set)
    jobs: set[UUID] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Opened:
    """A watch that has begun, and all that happened before."""

    watch: Watch
    past: RequestHistory
    """What is committed of the request, some of it not final."""
    final: int
    """The position up to which the past holds everything; the watch brings what lies above."""


class Hub:
    """Hands events to watches. All of it happens in the event loop but reading, and being woken."""

    def __init__(self, log: Log, wakeups: Wakeups, pace: Pace) -> None:
        """Prepare; nothing is read before somebody watches."""
        self.pace = pace
        self._log = log
        self._wakeups = wakeups
        self._requests: dict[UUID, _Watched] = {}
        self._jobs: dict[UUID, UUID] = {}
        """Which request each job belongs to, as far as it is watched."""
        self._position: int | None = None
        """Everything final up to here was handed out; None while nobody watches."""
        self._beginning = 0
        """Watches whose past is being read just now."""
        self._recent: list[RecordedEvent] = []
        """What was handed out meanwhile, for those."""
        self._waking = asyncio.Lock()
        self._resuming = asyncio.Semaphore(_READERS)
        self._woken = asyncio.Event()
        self._rung = False
        self._steps: dict[UUID, tuple[int, int]] = {}
        self._steps_told_at = 0.0
        self._telling_steps: asyncio.TimerHandle | None = None
        self._leaving = True
        """Whether every watch is over as soon as it begins: nothing comes before the hub runs."""
        self._is_failing = False
        """Whether the log could not be read the last time."""
        self._stop_listening: Callable[[], None] | None = None
        self._loop: asyncio.AbstractEventLoop
        # The threads of other requests are left alone, and the follower never waits for one.
        self._threads = anyio.CapacityLimiter(_READERS + 1)
        self._side_threads = anyio.CapacityLimiter(_SIDE_READERS)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the log for as long as the block runs, in this event loop."""
        self._loop = asyncio.get_running_loop()
        self._leaving = False
        following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            self._end_all()
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
            self._fall_asleep()

    def leave(self) -> None:
        """End every watch, since the process stops; from any thread or signal handler."""
        # The loop may be gone already.
        with suppress(RuntimeError, AttributeError):
            self._loop.call_soon_threadsafe(self._end_all)

    @property
    def is_leaving(self) -> bool:
        """Whether it keeps nobody any more, or not yet."""
        return self._leaving

    @property
    def watches(self) -> int:
        """How many clients watch something."""
        return sum(len(watched.watches) for watched in self._requests.values())

    async def open(self, request_id: UUID) -> Opened | None:
        """Begin to watch a request; None when there is no such request. Close the watch."""
        async with self._resuming:
            if not self._leaving:
                await self._wake_up()
            # From here on nothing that is handed out is lost on it.
            watch = self._add(request_id)
            self._beginning += 1
            try:
                final, past = await self._in_thread(partial(self._read, request_id))
                if past is None:
                    watch.close()
                    return None
                self._begin(watch, past, final)
            except BaseException:
                watch.close()
                raise
            finally:
                self._beginning -= 1
                if not self._beginning:
                    self._recent.clear()
        return Opened(watch, past, final)

    async def read(self, call: Callable[[], Found]) -> Found:
        """Call what may block and is needed by a stream, a few such calls at a time."""
        return await to_thread.run_sync(call, limiter=self._side_threads)

    def changed(self) -> None:
        """Look at the log soon; from any thread."""
        if not self._rung:
            self._rung = True
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._ring)

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        """Hand out how far a job is; from any thread."""
        if job_id in self._jobs:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._take_step, job_id, step, steps)

    def _read(self, request_id: UUID) -> tuple[int, RequestHistory | None]:
        # In this order: all that is final was committed, so the history holds it.
        final = self._log.last_position()
        return final, RequestHistory.read(self._log, request_id)

    async def _in_thread(self, call: Callable[[], Found]) -> Found:
        return await to_thread.run_sync(call, limiter=self._threads)

    async def _wake_up(self) -> None:
        async with self._waking:
            if self._position is None:
                self._position = await self._in_thread(self._log.last_position)
                self._stop_listening = self._wakeups.listen(self)
                self._woken.set()

    def _fall_asleep(self) -> None:
        self._position = None
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None

    def _add(self, request_id: UUID) -> Watch:
        watch = Watch(request_id, most=self.pace.most_untold, on_close=self._remove)
        self._requests.setdefault(request_id, _Watched()).watches.add(watch)
        if self._leaving:
            watch.end()
        return watch

    def _remove(self, watch: Watch) -> None:
        watched = self._requests.get(watch.request_id)
        if watched is None:
            return
        watched.watches.discard(watch)
        if not watched.watches:
            del self._requests[watch.request_id]
            for job_id in watched.jobs:
                self._jobs.pop(job_id, None)
                self._steps.pop(job_id, None)

    def _begin(self, watch: Watch, past: RequestHistory, final: int) -> None:
        for job_id in past.batched:
            self._know_job(job_id, watch.request_id)
        missed = [
            record for record in self._recent if self._request_of(record.event) == watch.request_id
        ]
        watch.begin(final, missed)

    def _know_job(self, job_id: UUID, request_id: UUID) -> None:
        self._jobs[job_id] = request_id
        self._requests[request_id].jobs.add(job_id)

    def _request_of(self, event: Aggregate.Event) -> UUID | None:
        if isinstance(event, Request.Event):
            return event.originator_id
        return self._jobs.get(event.originator_id) if isinstance(event, Job.Event) else None

    async def _follow(self) -> None:
        pauses: Iterator[float] = iter(())
        while True:
            if not self._requests and not self._waking.locked():
                self._fall_asleep()
            if self._position is None:
                self._woken.clear()
                await self._woken.wait()
            was_woken = self._woken.is_set()
            # Who rings from here on is heard after this look.
            self._woken.clear()
            records = await self._look()
            await asyncio.sleep(self.pace.rest)
            if len(records) == _PORTION:
                continue
            if records:
                pauses = iter(())
            elif was_woken:
                pauses = iter(self.pace.look_again)
            with suppress(TimeoutError):
                async with asyncio.timeout(next(pauses, self.pace.look)):
                    await self._woken.wait()

    async def _look(self) -> Sequence[RecordedEvent]:
        """Hand out the next events and return them; with the log out of reach there are none."""
        assert self._position is not None
        try:
            records = await self._in_thread(partial(self._log.after, self._position, _PORTION))
        except Exception as error:
            if not self._is_failing:
                _logger.warning("streams wait: the log cannot be read", exc_info=error)
            self._is_failing = True
            return ()
        self._is_failing = False
        for record in records:
            self._hand_out(record)
        if records:
            self._position = records[-1].position
        return records

    def _hand_out(self, record: RecordedEvent) -> None:
        event = record.event
        if isinstance(event, Job.Batched) and event.request_id in self._requests:
            self._know_job(event.originator_id, event.request_id)
        if self._beginning:
            self._recent.append(record)
        request_id = self._request_of(event)
        watched = self._requests.get(request_id) if request_id else None
        for watch in watched.watches if watched else ():
            watch.put(record)

    def _ring(self) -> None:
        self._rung = False
        self._woken.set()

    def _take_step(self, job_id: UUID, step: int, steps: int) -> None:
        self._steps[job_id] = (step, steps)
        if self._telling_steps is None:
            at = self._steps_told_at + self.pace.steps
            self._telling_steps = self._loop.call_at(at, self._tell_steps)

    def _tell_steps(self) -> None:
        self._telling_steps = None
        self._steps_told_at = self._loop.time()
        told, self._steps = self._steps, {}
        for job_id, (step, steps) in told.items():
            request_id = self._jobs.get(job_id)
            for watch in self._requests[request_id].watches if request_id else ():
                watch.step(job_id, step, steps)

    def _end_all(self) -> None:
        self._leaving = True
        for watched in self._requests.values():
            for watch in watched.watches:
                watch.end()
