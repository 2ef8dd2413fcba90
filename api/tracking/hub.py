"""The hub: one reader of the log for all clients of this process that wait for a request.

It follows the log from where it is when the first client comes, and sleeps while there is none.
Each event goes to the subscriptions to its request; what happened before a client came is read
once, for it.
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

from api.tracking.subscription import Subscription
from domain.jobs.job import Job
from domain.requests.request import Request
from projections.following.wakeups import Wakeups
from projections.tracking.history import RequestHistory
from projections.view import Log, RecordedEvent

_PORTION = 500
_READERS = 4
"""Clients whose past is read at a time: many that come back at once leave others their turn."""

_SIDE_READERS = 2
"""Streams at a time for which something else is read, such as their queue position."""

_logger = logging.getLogger(__name__)

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Timing:
    """How often the hub and its streams look for something new, in seconds, and what they keep."""

    poll: float = 0.25
    """Between two reads of the log when no wake-up arrives."""
    poll_again: tuple[float, ...] = (0.005, 0.01, 0.02, 0.04, 0.08)
    """Before the next reads in turn, where a wake-up came but no event was final yet."""
    pause: float = 0.01
    """Between two reads, however often it is woken."""
    steps: float = 0.1
    """Between two reports of the steps that jobs make."""
    keep_alive: float = 15.0
    """Between two signs of life on a stream, and two looks at its queue position."""
    most_pending: int = 256
    """Events that one client may be behind before its stream is cut off."""


@dataclass(slots=True)
class _Followed:
    """A request with at least one subscriber."""

    subscriptions: set[Subscription] = field(default_factory=set)
    jobs: set[UUID] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Opened:
    """A subscription that has begun, and all that happened before."""

    subscription: Subscription
    past: RequestHistory
    """What is committed of the request, some of it not final."""
    final: int
    """The position up to which the past holds everything; what lies above comes as updates."""


class Hub:
    """Hands events to subscriptions, in the event loop; reads and wake-ups happen elsewhere."""

    def __init__(self, log: Log, wakeups: Wakeups, timing: Timing) -> None:
        """Prepare; nothing is read before the first subscription."""
        self.timing = timing
        self._log = log
        self._wakeups = wakeups
        self._requests: dict[UUID, _Followed] = {}
        self._jobs: dict[UUID, UUID] = {}
        """Which request each job belongs to, of the requests that are followed."""
        self._position: int | None = None
        """Everything final up to here was handed out; None without subscribers."""
        self._beginning = 0
        """Subscriptions whose past is being read just now."""
        self._recent: list[RecordedEvent] = []
        """What was handed out meanwhile, for those."""
        self._waking = asyncio.Lock()
        self._resuming = asyncio.Semaphore(_READERS)
        self._woken = asyncio.Event()
        self._wake_pending = False
        self._steps: dict[UUID, tuple[int, int]] = {}
        self._steps_sent_at = 0.0
        self._sending_steps: asyncio.TimerHandle | None = None
        self._leaving = True
        """Whether every subscription is over as soon as it begins, as it is before the hub runs."""
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
            self._stop_following()

    def leave(self) -> None:
        """End every subscription, since the process stops; from any thread or signal handler."""
        # The loop may be gone already.
        with suppress(RuntimeError, AttributeError):
            self._loop.call_soon_threadsafe(self._end_all)

    @property
    def is_leaving(self) -> bool:
        """Whether it takes no subscriptions: the process stops, or has not begun."""
        return self._leaving

    @property
    def subscriptions(self) -> int:
        """How many clients are subscribed."""
        return sum(len(followed.subscriptions) for followed in self._requests.values())

    async def open(self, request_id: UUID) -> Opened | None:
        """Subscribe to a request; None when there is no such request. Close the subscription."""
        async with self._resuming:
            if not self._leaving:
                await self._begin_to_follow()
            # From here on nothing that is handed out is lost on it.
            subscription = self._add(request_id)
            self._beginning += 1
            try:
                final, past = await self._in_thread(partial(self._read, request_id))
                if past is None:
                    subscription.close()
                    return None
                self._begin(subscription, past, final)
            except BaseException:
                subscription.close()
                raise
            finally:
                self._beginning -= 1
                if not self._beginning:
                    self._recent.clear()
        return Opened(subscription, past, final)

    async def read(self, call: Callable[[], Found]) -> Found:
        """Call what may block and is needed by a stream, a few such calls at a time."""
        return await to_thread.run_sync(call, limiter=self._side_threads)

    def changed(self) -> None:
        """Read the log soon; from any thread."""
        if not self._wake_pending:
            self._wake_pending = True
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake)

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

    async def _begin_to_follow(self) -> None:
        async with self._waking:
            if self._position is None:
                self._position = await self._in_thread(self._log.last_position)
                self._stop_listening = self._wakeups.listen(self)
                self._woken.set()

    def _stop_following(self) -> None:
        self._position = None
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None

    def _add(self, request_id: UUID) -> Subscription:
        subscription = Subscription(
            request_id, most=self.timing.most_pending, on_close=self._remove
        )
        self._requests.setdefault(request_id, _Followed()).subscriptions.add(subscription)
        if self._leaving:
            subscription.end()
        return subscription

    def _remove(self, subscription: Subscription) -> None:
        followed = self._requests.get(subscription.request_id)
        if followed is None:
            return
        followed.subscriptions.discard(subscription)
        if not followed.subscriptions:
            del self._requests[subscription.request_id]
            for job_id in followed.jobs:
                self._jobs.pop(job_id, None)
                self._steps.pop(job_id, None)

    def _begin(self, subscription: Subscription, past: RequestHistory, final: int) -> None:
        for job_id in past.batched:
            self._know_job(job_id, subscription.request_id)
        missed = [
            record
            for record in self._recent
            if self._request_of(record.event) == subscription.request_id
        ]
        subscription.begin(final, missed)

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
                self._stop_following()
            if self._position is None:
                self._woken.clear()
                await self._woken.wait()
            was_woken = self._woken.is_set()
            # A wake-up from here on counts for the next read.
            self._woken.clear()
            records = await self._read_on()
            await asyncio.sleep(self.timing.pause)
            if len(records) == _PORTION:
                continue
            if records:
                pauses = iter(())
            elif was_woken:
                pauses = iter(self.timing.poll_again)
            with suppress(TimeoutError):
                async with asyncio.timeout(next(pauses, self.timing.poll)):
                    await self._woken.wait()

    async def _read_on(self) -> Sequence[RecordedEvent]:
        """Read and hand out the next events; with the log out of reach there are none."""
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
        followed = self._requests.get(request_id) if request_id else None
        for subscription in followed.subscriptions if followed else ():
            subscription.put(record)

    def _wake(self) -> None:
        self._wake_pending = False
        self._woken.set()

    def _take_step(self, job_id: UUID, step: int, steps: int) -> None:
        self._steps[job_id] = (step, steps)
        if self._sending_steps is None:
            at = self._steps_sent_at + self.timing.steps
            self._sending_steps = self._loop.call_at(at, self._send_steps)

    def _send_steps(self) -> None:
        self._sending_steps = None
        self._steps_sent_at = self._loop.time()
        latest, self._steps = self._steps, {}
        for job_id, (step, steps) in latest.items():
            request_id = self._jobs.get(job_id)
            for subscription in self._requests[request_id].subscriptions if request_id else ():
                subscription.step(job_id, step, steps)

    def _end_all(self) -> None:
        self._leaving = True
        for followed in self._requests.values():
            for subscription in followed.subscriptions:
                subscription.end()
