"""The hub reads the log once for all who watch, and not at all for nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.tracking.hub import Hub, Opened, Timing
from domain.jobs.job import Job
from domain.requests.request import Request
from projections.following.wakeups import WakeupListener
from projections.view import RecordedEvent
from tests.unit.projections.recorded_log import RecordedLog
from tests.unit.projections.tracked_events import batched, cancelled, progressed, sliced, submitted
from tests.waiting import DEADLINE_SECONDS

NEVER = 3600.0


class FinalLog(RecordedLog):
    """A log of which nobody may read what is not final yet."""

    def committed_after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        raise AssertionError("a hub hands out final events alone")


class BrokerWakeup:
    """Wake-ups by hand."""

    def __init__(self) -> None:
        self.hearings: list[WakeupListener] = []

    def listen(self, hearing: WakeupListener) -> Callable[[], None]:
        self.hearings.append(hearing)
        return lambda: self.hearings.remove(hearing)

    def changed(self) -> None:
        for hearing in self.hearings:
            hearing.changed()

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        for hearing in self.hearings:
            hearing.progress(job_id, step, steps)


class Stage:
    """A hub with its surroundings."""

    def __init__(self, **timing: Any) -> None:
        self.log = FinalLog()
        self.bell = BrokerWakeup()
        self.hub = Hub(
            self.log, self.bell, Timing(**{"poll": NEVER, "poll_again": (), "pause": 0.0, **timing})
        )

    async def opened(self, request_id: UUID) -> Opened:
        opened = await self.hub.open(request_id)
        assert opened is not None
        return opened


def run(stage: Stage, test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test while the hub runs."""

    async def whole() -> None:
        async with asyncio.timeout(DEADLINE_SECONDS), stage.hub.running():
            await test()

    asyncio.run(whole())


async def positions(opened: Opened, many: int) -> list[int]:
    """Wait until so many events have come, and return their positions."""
    found: list[int] = []
    while len(found) < many:
        found += [each.position for each in (await opened.subscription.updates(NEVER)).records]
    return found


async def turns(happened: Callable[[], object]) -> None:
    """Let the loop turn until something is so."""
    while not happened():
        await asyncio.sleep(0)


def test_a_hub_that_nobody_asks_reads_nothing() -> None:
    stage = Stage(poll=0.0)

    async def test() -> None:
        request_id = uuid4()
        stage.log.add(submitted(request_id))
        for _ in range(100):
            await asyncio.sleep(0)
        assert (stage.log.reads, stage.bell.hearings) == (0, [])
        opened = await stage.opened(request_id)
        await turns(lambda: stage.log.reads > 3)
        opened.subscription.close()
        await turns(lambda: not stage.bell.hearings)
        reads = stage.log.reads
        for _ in range(100):
            await asyncio.sleep(0)
        assert stage.log.reads == reads

    run(stage, test)


def test_one_read_serves_all_who_watch() -> None:
    stage = Stage()

    async def test() -> None:
        requests = [uuid4() for _ in range(50)]
        stage.log.add(*map(submitted, requests))
        opened = [await stage.opened(request_id) for request_id in requests]
        await turns(lambda: stage.log.reads)
        reads = stage.log.reads
        stage.log.add(*map(cancelled, requests))
        stage.bell.changed()
        for place, each in enumerate(opened):
            assert await positions(each, 1) == [51 + place]
        assert stage.log.reads == reads + 1

    run(stage, test)


def test_a_flood_of_wake_ups_is_a_few_reads() -> None:
    stage = Stage(pause=NEVER)

    async def test() -> None:
        request_id = uuid4()
        stage.log.add(submitted(request_id))
        await stage.opened(request_id)
        await turns(lambda: stage.log.reads)
        for _ in range(1000):
            stage.bell.changed()
            await asyncio.sleep(0)
        assert stage.log.reads == 1

    run(stage, test)


def test_what_is_not_final_at_the_wake_up_is_looked_for_again() -> None:
    stage = Stage(poll_again=(0.0, 0.0, 0.0))

    async def test() -> None:
        request_id = uuid4()
        stage.log.add(submitted(request_id))
        opened = await stage.opened(request_id)
        await turns(lambda: stage.log.reads > 3)
        assert stage.log.reads == 4
        stage.bell.changed()
        await turns(lambda: stage.log.reads > 5)
        stage.log.add(cancelled(request_id))
        assert await positions(opened, 1) == [2]

    run(stage, test)


def test_a_job_is_known_by_its_first_event_and_by_the_past() -> None:
    stage = Stage()

    async def test() -> None:
        request_id, earlier, later = uuid4(), uuid4(), uuid4()
        stage.log.add(*submitted_and_batched(request_id, earlier))
        opened = await stage.opened(request_id)
        assert opened.final == 3
        stage.log.add(batched(later, request_id), progressed(later), progressed(earlier))
        stage.log.add(batched(uuid4(), uuid4()), progressed(uuid4()))
        stage.bell.changed()
        assert await positions(opened, 3) == [4, 5, 6]

    run(stage, test)


def test_what_comes_while_the_past_is_read_is_not_lost() -> None:
    stage = Stage()

    async def test() -> None:
        request_id, job_id, watched = uuid4(), uuid4(), uuid4()
        stage.log.add(*submitted_and_batched(request_id, job_id), submitted(watched))
        # Somebody else keeps the hub reading.
        other = await stage.opened(watched)
        loop = asyncio.get_running_loop()
        has_passed = threading.Event()

        def happen() -> None:
            # The job is not known to the hub yet: its past is just being read.
            stage.log.before_tails = lambda: None
            stage.log.add(progressed(job_id), cancelled(watched))
            stage.bell.changed()
            asyncio.run_coroutine_threadsafe(passed(), loop)
            has_passed.wait()

        async def passed() -> None:
            await positions(other, 1)
            has_passed.set()

        stage.log.before_tails = happen
        opened = await stage.opened(request_id)
        assert opened.final == 4
        assert await positions(opened, 1) == [5]

    run(stage, test)


def test_what_is_final_already_does_not_come_twice() -> None:
    stage = Stage()

    async def test() -> None:
        first, second = uuid4(), uuid4()
        stage.log.add(submitted(first), submitted(second))
        await stage.opened(first)
        await turns(lambda: stage.log.reads)
        # The hub hears of it after the stream has read it as past.
        stage.log.add(cancelled(second))
        opened = await stage.opened(second)
        assert [each.position for each in opened.past.records] == [2, 3]
        stage.log.add(sliced(second, uuid4()))
        stage.bell.changed()
        assert await positions(opened, 1) == [4]

    run(stage, test)


def test_a_log_that_fails_is_read_again() -> None:
    stage = Stage(poll=0.0)

    async def test() -> None:
        request_id = uuid4()
        stage.log.add(submitted(request_id))
        opened = await stage.opened(request_id)
        await turns(lambda: stage.log.reads)
        working, failures = stage.log.after, iter([OSError("gone")] * 3)

        def failing(position: int, limit: int) -> Sequence[RecordedEvent]:
            for failure in failures:
                raise failure
            return working(position, limit)

        stage.log.after = failing  # type: ignore[method-assign]
        stage.log.add(cancelled(request_id))
        assert await positions(opened, 1) == [2]

    run(stage, test)


def test_whoever_is_too_far_behind_is_over() -> None:
    stage = Stage(most_pending=2)

    async def test() -> None:
        request_id, job_id = uuid4(), uuid4()
        stage.log.add(*submitted_and_batched(request_id, job_id))
        slow, quick = await stage.opened(request_id), await stage.opened(request_id)
        for number in range(3):
            stage.log.add(progressed(job_id))
            stage.bell.changed()
            assert await positions(quick, 1) == [4 + number]
        assert slow.subscription.is_over
        assert not (await slow.subscription.updates(NEVER)).records
        assert not quick.subscription.is_over

    run(stage, test)


def test_of_many_steps_the_last_one_counts() -> None:
    stage = Stage(steps=0.0)

    async def test() -> None:
        request_id, job_id = uuid4(), uuid4()
        stage.log.add(*submitted_and_batched(request_id, job_id))
        opened = await stage.opened(request_id)
        for step in range(1, 20):
            stage.bell.progress(job_id, step, 20)
        stage.bell.progress(uuid4(), 1, 20)
        assert (await opened.subscription.updates(NEVER)).steps == {job_id: (19, 20)}

    run(stage, test)


def test_nobody_is_kept_by_a_hub_that_does_not_run() -> None:
    stage = Stage()
    request_id = uuid4()
    stage.log.add(submitted(request_id))

    async def test() -> None:
        opened = await stage.opened(request_id)
        assert opened.subscription.is_over
        assert [each.position for each in opened.past.records] == [1]
        assert not stage.bell.hearings

    asyncio.run(test())


def test_leaving_ends_every_watch_and_those_that_come() -> None:
    stage = Stage()

    async def test() -> None:
        request_id = uuid4()
        stage.log.add(submitted(request_id))
        opened = await stage.opened(request_id)
        threading.Thread(target=stage.hub.leave).start()
        assert not (await opened.subscription.updates(NEVER)).records
        assert opened.subscription.is_over
        assert (await stage.opened(request_id)).subscription.is_over

    run(stage, test)


def test_a_request_that_there_is_not_leaves_nothing() -> None:
    stage = Stage()

    async def test() -> None:
        assert await stage.hub.open(uuid4()) is None
        assert stage.hub.subscriptions == 0

    run(stage, test)


@pytest.mark.parametrize("watches", [1, 3])
def test_closing_forgets(watches: int) -> None:
    stage = Stage()

    async def test() -> None:
        request_id = uuid4()
        stage.log.add(submitted(request_id))
        opened = [await stage.opened(request_id) for _ in range(watches)]
        assert stage.hub.subscriptions == watches
        for each in opened:
            each.subscription.close()
            each.subscription.close()
        assert stage.hub.subscriptions == 0

    run(stage, test)


def submitted_and_batched(request_id: UUID, job_id: UUID) -> list[Request.Event | Job.Event]:
    return [submitted(request_id), sliced(request_id, job_id), batched(job_id, request_id)]
